import { type JsonObject, unlessBlank, unlessEmpty } from './go-json.ts';
import { HUGE_PAGE_SIZES } from './resource-schema.ts';
import type { ResourcesSpec } from './schema.ts';

/** Control-group limits in the form of the OCI runtime-spec (config-linux.md, "Control groups"), keys in its order. */
export function resourcesJson(spec: ResourcesSpec, granted: readonly JsonObject[]): JsonObject {
  const { memory, cpu, pids, blockio, network } = spec;
  return {
    devices: unlessEmpty([...(spec.devices ?? []).map(deviceRule), ...granted]),
    memory: memory && {
      limit: memory.limit,
      reservation: memory.reservation,
      swap: memory.swap,
      kernel: memory.kernel,
      kernelTCP: memory.kernelTCP,
      swappiness: memory.swappiness,
      disableOOMKiller: memory.disableOOMKiller,
    },
    cpu: cpu && {
      shares: cpu.shares,
      quota: cpu.quota,
      period: cpu.period,
      realtimeRuntime: cpu.realtimeRuntime,
      realtimePeriod: cpu.realtimePeriod,
      cpus: unlessBlank(cpu.cpus),
      mems: unlessBlank(cpu.mems),
    },
    pids: pids && { limit: pids.limit ?? 0 },
    blockIO: blockio && blockIo(blockio),
    hugepageLimits: unlessEmpty(
      spec.hugepageLimits?.map(({ pageSize, limit }) => ({ pageSize: hugePageSizeName(pageSize), limit })),
    ),
    network: network && {
      classID: network.classID,
      priorities: unlessEmpty(network.priorities?.map(({ name, priority }) => ({ name, priority }))),
    },
  };
}

type Listed<T> = T extends readonly (infer E)[] ? E : never;

function deviceRule(rule: Listed<NonNullable<ResourcesSpec['devices']>>): JsonObject {
  return {
    allow: rule.allow ?? false,
    type: unlessBlank(rule.type),
    major: rule.major,
    minor: rule.minor,
    access: unlessBlank(rule.access),
  };
}

function blockIo(spec: NonNullable<ResourcesSpec['blockio']>): JsonObject {
  return {
    weight: spec.weight,
    leafWeight: spec.leafWeight,
    weightDevice: unlessEmpty(
      spec.weightDevice?.map(({ major = 0, minor = 0, weight, leafWeight }) => ({
        major,
        minor,
        weight,
        leafWeight,
      })),
    ),
    throttleReadBpsDevice: throttle(spec.throttleReadBpsDevice),
    throttleWriteBpsDevice: throttle(spec.throttleWriteBpsDevice),
    throttleReadIOPSDevice: throttle(spec.throttleReadIOPSDevice),
    throttleWriteIOPSDevice: throttle(spec.throttleWriteIOPSDevice),
  };
}

function throttle(
  devices: NonNullable<ResourcesSpec['blockio']>['throttleReadBpsDevice'],
): readonly JsonObject[] | undefined {
  return unlessEmpty(devices?.map(({ major = 0, minor = 0, rate = 0 }) => ({ major, minor, rate })));
}

/** Control groups know page sizes by name; the schema admits only numbers that have one. */
export function hugePageSizeName(size: string | number): string {
  const name = [...HUGE_PAGE_SIZES].find(([, bytes]) => bytes === size)?.[0];
  return name ?? String(size);
}
