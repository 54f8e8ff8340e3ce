import { z } from 'zod';
import { conditions } from './conditions.ts';
import { digest } from './digest.ts';
import { imagePath } from './image.ts';
import { API_VERSION, MACHINE_KIND } from './names.ts';
import { type Immutable, labelName, objectMeta, objectName, parseObject, timestamp } from './object.ts';
import { probe } from './probe.ts';
import { quantity, quantityValue } from './quantity.ts';
import { ATOMIC_LIST, ATOMIC_MAP, exactlyOne, exactlyOneCel, listMap, withRules } from './rules.ts';
import {
  affinity,
  labels,
  nodeSelector,
  priorityClassName,
  tolerations,
  topologySpreadConstraints,
} from './scheduling.ts';

/** What the kernel's own buffer leaves for a command line, terminator excluded (x86, COMMAND_LINE_SIZE). */
export const KERNEL_ARGS_LIMIT = 2047;

/** `NAME-ORDINAL` must stay a DNS label: it is the VM's name and the guest's host name. */
export const MACHINE_NAME_LIMIT = 58;

const cpu = z.object({
  cores: z.int32().min(1).max(512).default(1).describe('Cores a socket.'),
  sockets: z.int32().min(1).max(64).default(1).describe('Sockets.'),
  threads: z.int32().min(1).max(8).default(1).describe('Threads a core.'),
  model: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z0-9][-A-Za-z0-9_.]*$/)
    .optional()
    .describe(
      'The processor model shown to the guest: host-model, host-passthrough, or one that the hypervisor knows.',
    ),
});

const MEMORY_FLOOR = 32 * 2 ** 20;
const MEMORY_CEILING = 16 * 2 ** 40;

const memory = withRules(quantity, [
  {
    cel: "quantity(string(self)).compareTo(quantity('32Mi')) >= 0 && quantity(string(self)).compareTo(quantity('16Ti')) <= 0",
    message: 'must lie between 32Mi and 16Ti',
    holds: (value) => {
      const bytes = quantityValue(value);
      return bytes !== undefined && bytes >= MEMORY_FLOOR && bytes <= MEMORY_CEILING;
    },
  },
]);

const matcher = (what: string, kinds: readonly [string, string]) =>
  z
    .object({
      name: objectName.describe(`The name of the ${what}.`),
      kind: z.enum(kinds).default(kinds[1]).describe(`Whether it is of the cluster or of the namespace.`),
      revisionName: objectName
        .optional()
        .describe(
          'A ControllerRevision that holds it as it was. KubeVirt takes the present one if left out.',
        ),
    })
    .meta(ATOMIC_MAP);

const port = z.object({
  name: labelName.max(15).optional().describe('A name for it.'),
  port: z.int32().min(1).max(65_535).describe('The port in the guest.'),
  protocol: z.enum(['TCP', 'UDP']).default('TCP').describe('The protocol.'),
});

const additionalNetwork = z.object({
  name: labelName.describe('A name for it, unique within the machine.'),
  networkAttachmentDefinition: z
    .string()
    .min(1)
    .max(317)
    .regex(/^([a-z0-9]([-a-z0-9]*[a-z0-9])?\/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
    .describe('A NetworkAttachmentDefinition of Multus, NAME or NAMESPACE/NAME.'),
  binding: z.enum(['bridge', 'sriov']).default('bridge').describe('How the guest is connected to it.'),
});

const network = withRules(
  z.object({
    pod: z
      .boolean()
      .default(true)
      .describe(
        "Whether the guest has an interface in the pod network, behind the pod's address. It can be migrated and probed.",
      ),
    ports: z
      .array(port)
      .max(64)
      .optional()
      .describe('Ports of the guest that the pod network reaches. Left out: all.')
      .meta(listMap('port', 'protocol')),
    additional: z
      .array(additionalNetwork)
      .max(16)
      .optional()
      .describe('Further networks, attached by Multus.')
      .meta(listMap('name')),
  }),
  [
    {
      cel: 'self.pod || !has(self.ports)',
      message: 'ports need the pod network',
      field: 'ports',
      holds: (value) => value.pod || value.ports === undefined,
    },
    {
      cel: "!has(self.additional) || !self.additional.exists(entry, entry.name == 'default')",
      message: 'the name default is that of the pod network',
      field: 'additional',
      holds: (value) => value.additional?.every((entry) => entry.name !== 'default') ?? true,
    },
  ],
);

const disk = withRules(
  z.object({
    name: labelName.describe('A name for it, unique within the machine.'),
    persistentVolumeClaim: z
      .object({
        claimName: objectName.describe('The claim, in the namespace of the machine.'),
        readOnly: z.boolean().default(false).describe('Whether the guest may only read it.'),
      })
      .optional()
      .describe('A volume that outlives the machine. Every replica is given the same claim.')
      .meta(ATOMIC_MAP),
    emptyDisk: z
      .object({ capacity: quantity.describe('Its size.') })
      .optional()
      .describe('An empty disk that lives as long as the instance: a restart gives a new one.')
      .meta(ATOMIC_MAP),
    bus: z.enum(['virtio', 'scsi']).default('virtio').describe('How it is attached.'),
    serial: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[A-Za-z0-9_.+-]+$/)
      .optional()
      .describe('A serial number by which the guest finds it.'),
  }),
  [
    {
      cel: exactlyOneCel('persistentVolumeClaim', 'emptyDisk'),
      message: 'exactly one of persistentVolumeClaim and emptyDisk must be given',
      holds: exactlyOne('persistentVolumeClaim', 'emptyDisk'),
    },
    {
      cel: "!self.name.startsWith('linuxkit-')",
      message: 'names that begin with linuxkit- are kept for our own disks',
      field: 'name',
      holds: (value) => !value.name.startsWith('linuxkit-'),
    },
  ],
);

const metadataFile = z.object({
  path: imagePath.describe('Where the guest finds it, below /run/config.'),
  perm: z
    .string()
    .max(4)
    .regex(/^0[0-7]{3}$/)
    .default('0644')
    .describe('Permissions in octal, quoted.'),
  content: z.string().max(65_536).describe('What it holds.'),
});

const metadata = withRules(
  z.object({
    hostname: labelName
      .max(MACHINE_NAME_LIMIT)
      .optional()
      .describe("Host name in the guest; -0, -1, … is added. Left out: the virtual machine's name."),
    sshAuthorizedKeys: z
      .array(
        z
          .string()
          .min(1)
          .max(16_384)
          .regex(/^[^\r\n]+$/),
      )
      .max(64)
      .optional()
      .describe(
        'Public keys, as in authorized_keys; the guest finds them in /run/config/ssh/authorized_keys.',
      )
      .meta(ATOMIC_LIST),
    files: z
      .array(metadataFile)
      .max(64)
      .optional()
      .describe('Further files below /run/config.')
      .meta(listMap('path')),
    secretRef: z
      .object({ name: objectName.describe('The Secret, in the namespace of the machine.') })
      .optional()
      .describe(
        "A Secret whose key user-data holds LinuxKit's metadata JSON. The operator never reads it: after a change, ask for a restart by annotation.",
      )
      .meta(ATOMIC_MAP),
  }),
  [
    {
      cel: 'has(self.secretRef) != (has(self.hostname) || has(self.sshAuthorizedKeys) || has(self.files))',
      message: 'either secretRef, or at least one of hostname, sshAuthorizedKeys and files must be given',
      holds: (value) =>
        (value.secretRef !== undefined) !==
        (value.hostname !== undefined || value.sshAuthorizedKeys !== undefined || value.files !== undefined),
    },
  ],
);

const scheduling = z.object({
  nodeSelector: nodeSelector.optional(),
  tolerations: tolerations.optional(),
  affinity: affinity.optional(),
  topologySpreadConstraints: topologySpreadConstraints.optional(),
  priorityClassName: priorityClassName.optional(),
});

const maxUnavailable = z
  .union([z.int(), z.string().max(4)])
  .meta({ 'x-kubernetes-int-or-string': true })
  .default(1);

const update = z.object({
  maxUnavailable: withRules(maxUnavailable, [
    {
      cel: "type(self) == string ? self.matches('^([1-9][0-9]?|100)%$') : (self >= 1 && self <= 1000)",
      message: 'must be a number of machines from 1 to 1000, or a percentage from "1%" to "100%"',
      holds: (value) =>
        typeof value === 'number' ? value >= 1 && value <= 1000 : /^([1-9][0-9]?|100)%$/.test(value),
    },
  ]).describe(
    'How many machines may be down at once for being restarted: a number, or a percentage of replicas, rounded down, but at least one.',
  ),
  minReadySeconds: z
    .int32()
    .min(0)
    .max(86_400)
    .default(0)
    .describe(
      'For how many seconds a restarted machine must have been ready before the next one is restarted.',
    ),
});

const template = z.object({
  metadata: z
    .object({
      labels: labels.optional().describe('Labels of the instance and its pod.'),
      annotations: z
        .record(z.string().min(1).max(317), z.string().max(65_536))
        .optional()
        .describe('Annotations of the instance and its pod.')
        .meta({ maxProperties: 64 }),
    })
    .optional()
    .describe('Labels and annotations of the instance.'),
  spec: z
    .looseObject({})
    .optional()
    .describe(
      "Anything else of KubeVirt's VirtualMachineInstance spec, merged below what this object says itself. Lists are joined by name. Another kernel or another name of ours is refused.",
    )
    .meta({ 'x-kubernetes-preserve-unknown-fields': true }),
});

export const machineSpec = withRules(
  z.object({
    imageRef: z
      .object({
        name: objectName.describe('The LinuxKitImage, in the namespace of the machine.'),
        digest: digest
          .optional()
          .describe(
            "An artifact's digest, from the status or history of the image. Left out: the machine follows the image.",
          ),
      })
      .describe('What the machine boots.'),
    replicas: z
      .int32()
      .min(0)
      .max(1000)
      .default(1)
      .describe('How many virtual machines there are: NAME-0, NAME-1, …'),
    runStrategy: z
      .enum(['Always', 'RerunOnFailure', 'Manual', 'Halted'])
      .default('Always')
      .describe(
        'Always: started again whenever it ends. RerunOnFailure: only when it failed. Manual: started and stopped on request. Halted: not running.',
      ),
    cpu: cpu.optional().describe('Virtual processors. One if left out, unless an instance type is named.'),
    memory: memory
      .optional()
      .describe(
        'Memory of the guest. It must hold the kernel and the unpacked initrd. Required unless an instance type is named.',
      ),
    instancetype: matcher('instance type', [
      'VirtualMachineInstancetype',
      'VirtualMachineClusterInstancetype',
    ])
      .optional()
      .describe('A KubeVirt instance type that sets processors and memory.'),
    preference: matcher('preference', ['VirtualMachinePreference', 'VirtualMachineClusterPreference'])
      .optional()
      .describe('A KubeVirt preference that sets what is left out here.'),
    kernelArgs: z
      .string()
      .min(1)
      .max(KERNEL_ARGS_LIMIT)
      .regex(/^[\x20-\x7e]*$/)
      .optional()
      .describe(
        "Appended to the image's kernel command line. Together at most 2,047 bytes: a kernel given more starts and says nothing.",
      ),
    network: network.optional().describe('Networks of the guest. Left out: the pod network.'),
    disks: z.array(disk).max(32).optional().describe('Disks of the guest.').meta(listMap('name')),
    metadata: metadata
      .optional()
      .describe("What LinuxKit's metadata package finds on a CD-ROM and puts below /run/config."),
    readinessProbe: probe
      .optional()
      .describe('When the guest is ready. Without it, ready means no more than that QEMU runs.'),
    livenessProbe: withRules(probe, [
      {
        cel: 'self.successThreshold == 1',
        message: 'must be 1 for a liveness probe',
        field: 'successThreshold',
        holds: (value) => value.successThreshold === 1,
      },
    ])
      .optional()
      .describe('When the guest is to be ended for not living any more.'),
    terminationGracePeriodSeconds: z
      .int32()
      .min(0)
      .max(3600)
      .default(10)
      .describe('How long a guest may take to shut down after the power button was pressed.'),
    evictionStrategy: z
      .enum(['None', 'LiveMigrate', 'LiveMigrateIfPossible', 'External'])
      .default('LiveMigrateIfPossible')
      .describe('What a node drain does with the instance.'),
    logSerialConsole: z
      .boolean()
      .default(true)
      .describe("Whether the serial console is written to the log of the pod's container guest-console-log."),
    scheduling: scheduling.optional().describe('Where the machines run.'),
    update: update.optional().describe('How machines are moved to another digest.'),
    template: template.optional().describe("What else goes into KubeVirt's instance."),
  }),
  [
    {
      cel: exactlyOneCel('memory', 'instancetype'),
      message: 'exactly one of memory and instancetype must be given',
      holds: exactlyOne('memory', 'instancetype'),
    },
    {
      cel: '!(has(self.cpu) && has(self.instancetype))',
      message: 'cpu and instancetype exclude each other',
      field: 'cpu',
      holds: (value) => value.cpu === undefined || value.instancetype === undefined,
    },
    {
      cel: '!has(self.network) || self.network.pod || !(has(self.readinessProbe) || has(self.livenessProbe))',
      message: 'probes need the pod network',
      holds: (value) =>
        value.network?.pod !== false ||
        (value.readinessProbe === undefined && value.livenessProbe === undefined),
    },
  ],
);

/** What a virtual machine is doing, in one word. */
export const MACHINE_PHASES = [
  'Missing',
  'Stopped',
  'Pending',
  'Starting',
  'Running',
  'Migrating',
  'Paused',
  'Stopping',
  'Failing',
  'Foreign',
] as const;

const machineRow = z.object({
  name: objectName.describe('The virtual machine.'),
  ordinal: z.int32().min(0).describe('Its number.'),
  phase: z
    .enum(MACHINE_PHASES)
    .describe('What it is doing. Failing: it does not start. Foreign: one of this name is not ours.'),
  ready: z.boolean().describe('Whether it is ready: by its readiness probe, or merely running without one.'),
  readySince: timestamp.optional().describe('Since when it is ready.'),
  updated: z
    .boolean()
    .describe('Whether it runs what is wanted: digest, kernel arguments, metadata, devices.'),
  bootedDigest: digest.optional().describe('The artifact that it booted.'),
  node: z.string().max(253).optional().describe('The node it is on.'),
  addresses: z
    .array(z.string().max(64))
    .max(32)
    .optional()
    .describe('Its addresses, that of the pod network first.')
    .meta(ATOMIC_LIST),
  message: z.string().max(1024).optional().describe('What is in its way.'),
});

export const machineStatus = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('The generation that this status was computed from.'),
  conditions: conditions.optional(),
  replicas: z.int32().min(0).optional().describe('Virtual machines there are.'),
  readyReplicas: z.int32().min(0).optional().describe('Those that are ready.'),
  availableReplicas: z.int32().min(0).optional().describe('Those that have been ready for minReadySeconds.'),
  updatedReplicas: z.int32().min(0).optional().describe('Those that run what is wanted.'),
  selector: z
    .string()
    .max(512)
    .optional()
    .describe('A label selector of the pods, for the scale subresource.'),
  currentDigest: digest
    .optional()
    .describe('The artifact that every machine has booted; it stays until the last one has left it.'),
  targetDigest: digest.optional().describe('The artifact that machines are to boot.'),
  machines: z
    .array(machineRow)
    .max(1000)
    .optional()
    .describe('The virtual machines, one by one.')
    .meta(listMap('name')),
  lastHandledRestart: z
    .string()
    .max(256)
    .optional()
    .describe('The value of the annotation linuxkit.dev/restart-requested-at that was last acted upon.'),
});

export const linuxkitMachine = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(MACHINE_KIND),
  metadata: objectMeta,
  spec: machineSpec,
  status: machineStatus.optional(),
});

export type LinuxKitMachine = Immutable<z.infer<typeof linuxkitMachine>>;
export type MachineSpec = LinuxKitMachine['spec'];
export type MachineStatus = Immutable<z.infer<typeof machineStatus>>;
export type MachineRow = Immutable<z.infer<typeof machineRow>>;
export type MachinePhase = (typeof MACHINE_PHASES)[number];

/**
 * Reads a LinuxKitMachine as the API server gives it. Fields of a later version are left aside;
 * defaults are filled in. Throws an ObjectError that names every offending field.
 */
export function parseMachine(value: unknown): LinuxKitMachine {
  return parseObject(MACHINE_KIND, linuxkitMachine, value);
}
