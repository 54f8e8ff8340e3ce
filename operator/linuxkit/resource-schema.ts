import * as z from 'zod';
import { filledText, integer, integer64, list, patterned, text, withRules } from './field-types.ts';

/** Control-group limits of a container: `resources` of an image entry (OCI runtime-spec, config-linux.md, "Control groups"). */

const MAX_DEVICES = 64;
const DEVICE_NUMBER = 4_294_967_295;

const major = integer(0, DEVICE_NUMBER).describe('Major number of the device.');
const minor = integer(0, DEVICE_NUMBER).describe('Minor number of the device.');

const deviceRule = z.object({
  allow: z.boolean().describe('Whether the access is allowed or denied.').optional(),
  type: patterned(1, '^[abcu]?$', 'must be a, b, c or u')
    .describe('Kind of device: a (all), b (block), c or u (character).')
    .optional(),
  major: integer(-1, DEVICE_NUMBER).describe('Major number; unset for all.').optional(),
  minor: integer(-1, DEVICE_NUMBER).describe('Minor number; unset for all.').optional(),
  access: patterned(3, '^[rwm]*$', 'must be made of the letters r, w and m')
    .describe('Operations concerned: r (read), w (write), m (make a device node).')
    .optional(),
});

const memory = z.object({
  limit: integer64().describe('Limit of memory, in bytes; -1 for none.').optional(),
  reservation: integer64().describe('Soft limit of memory, in bytes.').optional(),
  swap: integer64().describe('Limit of memory and swap together, in bytes; -1 for none.').optional(),
  kernel: integer64().describe('Limit of kernel memory, in bytes. Cgroup version 1 only.').optional(),
  kernelTCP: integer64()
    .describe('Limit of kernel memory for TCP buffers, in bytes. Cgroup version 1 only.')
    .optional(),
  swappiness: integer(0, 100).describe('How readily pages are swapped out, from 0 to 100.').optional(),
  disableOOMKiller: z
    .boolean()
    .describe('Leave processes waiting rather than kill one when memory runs out. Cgroup version 1 only.')
    .optional(),
});

const cpu = z.object({
  shares: integer64(0).describe('Weight relative to other containers; 1024 is the usual value.').optional(),
  quota: integer64()
    .describe('Processor time allowed in each period, in microseconds; -1 for no limit.')
    .optional(),
  period: integer64(0).describe('Length of a period, in microseconds.').optional(),
  realtimeRuntime: integer64()
    .describe('Real-time processor time allowed in each real-time period, in microseconds.')
    .optional(),
  realtimePeriod: integer64(0).describe('Length of a real-time period, in microseconds.').optional(),
  cpus: text(1024).describe("Processors the container may use, such as '0-2,7'.").optional(),
  mems: text(1024).describe('Memory nodes the container may use, in the same notation.').optional(),
});

const weightDevice = z.object({
  major: major.optional(),
  minor: minor.optional(),
  weight: integer(0, 65_535).describe('Weight of the device, from 10 to 1000.').optional(),
  leafWeight: integer(0, 65_535).describe('Weight against child groups, from 10 to 1000.').optional(),
});

const throttleDevice = z.object({
  major: major.optional(),
  minor: minor.optional(),
  rate: integer64(0).describe('Bytes or operations a second.').optional(),
});

function throttle(what: string) {
  return list(throttleDevice, MAX_DEVICES).describe(`Limits of ${what} for each device.`).optional();
}

const blockIo = z.object({
  weight: integer(0, 65_535).describe('Weight relative to other containers, from 10 to 1000.').optional(),
  leafWeight: integer(0, 65_535)
    .describe('Weight of tasks against child groups, from 10 to 1000.')
    .optional(),
  weightDevice: list(weightDevice, MAX_DEVICES).describe('Weights for single devices.').optional(),
  throttleReadBpsDevice: throttle('bytes read a second'),
  throttleWriteBpsDevice: throttle('bytes written a second'),
  throttleReadIOPSDevice: throttle('read operations a second'),
  throttleWriteIOPSDevice: throttle('write operations a second'),
});

/** Huge page sizes that Linux knows on one architecture or another, as its control groups name them, with their bytes. */
export const HUGE_PAGE_SIZES: ReadonlyMap<string, number> = new Map([
  ['64KB', 65_536],
  ['512KB', 524_288],
  ['1MB', 1_048_576],
  ['2MB', 2_097_152],
  ['8MB', 8_388_608],
  ['16MB', 16_777_216],
  ['32MB', 33_554_432],
  ['256MB', 268_435_456],
  ['512MB', 536_870_912],
  ['1GB', 1_073_741_824],
  ['2GB', 2_147_483_648],
  ['16GB', 17_179_869_184],
]);

const PAGE_SIZE_MESSAGE = `must be one of ${[...HUGE_PAGE_SIZES.keys()].join(', ')}, or the same in bytes`;

// Equality with constants rather than a pattern: the length of an int-or-string has no bound
// that the API server could use when it estimates what matching costs.
const pageSize = withRules(
  z
    .union([patterned(5, '^[0-9]+[KMG]B$', PAGE_SIZE_MESSAGE), integer64(1)], PAGE_SIZE_MESSAGE)
    .meta({ 'x-kubernetes-int-or-string': true }),
  {
    rule:
      `type(self) == string ? self in ${JSON.stringify([...HUGE_PAGE_SIZES.keys()])} : ` +
      `self in ${JSON.stringify([...HUGE_PAGE_SIZES.values()])}`,
    message: PAGE_SIZE_MESSAGE,
    holds: (size) => [...HUGE_PAGE_SIZES].some((names) => names.some((name) => name === size)),
  },
);

const hugePageLimit = z.object({
  pageSize: pageSize.describe("Size of the page: a name such as '2MB', or a number of bytes."),
  limit: integer64(0).describe('Limit for pages of this size, in bytes.'),
});

const network = z.object({
  classID: integer(0, 4_294_967_295)
    .describe('Class identifier given to packets of the container.')
    .optional(),
  priorities: list(
    z.object({
      name: filledText(64).describe('Name of the network interface.'),
      priority: integer(0, 4_294_967_295).describe('Priority of packets on that interface.'),
    }),
    MAX_DEVICES,
  )
    .describe('Priorities of packets on each network interface.')
    .optional(),
});

export const resourcesSchema = z.object({
  devices: list(deviceRule, 256)
    .describe(
      'Access rules for devices, applied in order. Rules from `devices` of the container follow them.',
    )
    .optional(),
  memory: memory.describe('Limits of memory.').optional(),
  cpu: cpu.describe('Limits of processor time.').optional(),
  pids: z
    .object({ limit: integer64().describe('Largest number of tasks; -1 for no limit.').optional() })
    .describe('Limit of the number of processes.')
    .optional(),
  blockio: blockIo.describe('Limits of block input and output.').optional(),
  hugepageLimits: list(hugePageLimit, 16).describe('Limits of huge pages, for each page size.').optional(),
  network: network.describe('Classification of network packets. Cgroup version 1 only.').optional(),
});
