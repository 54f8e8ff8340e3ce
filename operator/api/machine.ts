import * as z from 'zod';
import { conditions } from './conditions.ts';
import { digest } from './digest.ts';
import { durationBetween } from './duration.ts';
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

/** As much of a PersistentVolumeClaim's spec as a disk of a machine has use for. */
const volumeClaimTemplate = z.object({
  accessModes: z
    .array(z.enum(['ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany']))
    .min(1)
    .max(3)
    .default(['ReadWriteOnce'])
    .describe('How it may be mounted. Only ReadWriteMany lets the machine be migrated.')
    .meta(ATOMIC_LIST),
  storageClassName: objectName.optional().describe("Left out: the cluster's default."),
  volumeMode: z.enum(['Filesystem', 'Block']).default('Filesystem').describe('What the volume is.'),
  resources: z
    .object({
      requests: z.object({ storage: quantity.describe('Its size.') }).describe('What is asked for.'),
    })
    .describe('Its size.'),
});

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
    volumeClaimTemplate: volumeClaimTemplate
      .optional()
      .describe(
        'A claim for each virtual machine, named DISK-NAME-ORDINAL and made when there is none of that name. A changed template is for claims made from then on.',
      )
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
      cel: exactlyOneCel('persistentVolumeClaim', 'volumeClaimTemplate', 'emptyDisk'),
      message: 'exactly one of persistentVolumeClaim, volumeClaimTemplate and emptyDisk must be given',
      holds: exactlyOne('persistentVolumeClaim', 'volumeClaimTemplate', 'emptyDisk'),
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

/** Five fields of crontab(5); names and lists are checked when it is read. */
const CRON =
  /^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9A-Za-z*,/-]+( +[0-9A-Za-z*,/-]+){4})$/;

const maintenanceWindow = z.object({
  schedule: z
    .string()
    .max(128)
    .regex(CRON)
    .describe('When it opens: minute, hour, day of the month, month, day of the week, as crontab has them.'),
  duration: durationBetween('1m', '168h').describe('For how long it stays open, such as 90m or 4h.'),
  timeZone: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/)
    .default('UTC')
    .describe("The time zone of the schedule, by its IANA name: 'Europe/Berlin'."),
});

const update = z.object({
  strategy: z
    .enum(['RollingUpdate', 'OnRestart', 'Manual'])
    .default('RollingUpdate')
    .describe(
      'RollingUpdate: machines are restarted into a new revision a few at a time. OnRestart: it is laid ready, and taken by each machine when it starts again anyway. Manual: it waits for the annotation linuxkit.dev/update-requested-at.',
    ),
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
  partition: z
    .int32()
    .min(0)
    .max(1000)
    .default(0)
    .describe(
      'Only machines from this ordinal on are moved to a new revision. The others keep what they have.',
    ),
  progressDeadlineSeconds: z
    .int32()
    .min(1)
    .max(86_400)
    .default(600)
    .describe(
      'For how many seconds a machine may be on its way to a new revision without becoming ready, besides minReadySeconds and its grace period. After that the revision has failed.',
    ),
  onFailure: z
    .enum(['Rollback', 'Halt'])
    .default('Rollback')
    .describe(
      'What a failed revision leads to. Rollback: back to the last one with which all machines were ready. Halt: machines are left as they are. It is not tried again until image or spec changes, or until the annotation linuxkit.dev/update-requested-at asks for it.',
    ),
  maintenanceWindow: maintenanceWindow
    .optional()
    .describe('When machines that are ready may be restarted into a new revision. Left out: at any time.'),
});

const retention = z.enum(['Retain', 'Delete']).default('Retain');

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
    update: update.optional().describe('How machines are moved to a new revision.'),
    revisionHistoryLimit: z
      .int32()
      .min(0)
      .max(20)
      .default(3)
      .describe(
        'How many revisions that are not in use any more are kept to go back to. Their artifacts stay in storage.',
      ),
    persistentVolumeClaimRetentionPolicy: z
      .object({
        whenDeleted: retention.describe('When this object is deleted.'),
        whenScaled: retention.describe('When replicas is lowered: of the machines that are removed.'),
      })
      .optional()
      .describe('What becomes of claims made by volumeClaimTemplate. Left out: they are retained.'),
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
    .describe('Whether it runs the target revision: digest, kernel arguments, metadata, devices.'),
  revision: objectName.optional().describe('The revision that it runs.'),
  pendingSince: timestamp
    .optional()
    .describe('Since when it has been on its way to a revision without having arrived.'),
  detached: z.boolean().optional().describe('Whether it is left alone, as its annotation asks.'),
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

const machineRevision = z.object({
  name: objectName.describe('The ControllerRevision.'),
  number: z.int().min(0).describe('Counts up; the latest that was taken has the highest.'),
  digest: digest.describe('The artifact that it boots.'),
  created: timestamp.optional().describe('When it was first taken.'),
  cause: z.string().max(256).optional().describe('What made it differ from the one before.'),
});

const failedRevision = z.object({
  name: objectName.describe('What image and spec ask for, and what is not tried again.'),
  digest: digest.describe('The artifact that it boots.'),
  reason: z
    .enum(['ProgressDeadlineExceeded', 'RollbackRequested'])
    .describe(
      'ProgressDeadlineExceeded: a machine did not come up with it. RollbackRequested: by annotation.',
    ),
  message: z.string().max(4096).describe('Why, for people.'),
  time: timestamp.describe('When that was found.'),
  rolledBackTo: objectName.optional().describe('The revision that machines went back to.'),
  halted: z.boolean().describe('Whether machines are left as they are.'),
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
  unavailableReplicas: z.int32().min(0).optional().describe('Those that are asked for and not available.'),
  updatedReplicas: z.int32().min(0).optional().describe('Those that run the target revision.'),
  selector: z
    .string()
    .max(512)
    .optional()
    .describe('A label selector of the pods, for the scale subresource.'),
  currentDigest: digest
    .optional()
    .describe('The artifact that every machine has booted; it stays until the last one has left it.'),
  targetDigest: digest.optional().describe('The artifact that machines are to boot.'),
  currentRevision: objectName
    .optional()
    .describe('The revision that machines come from; it stays until the last one has left it.'),
  targetRevision: objectName.optional().describe('The revision that machines are moved to.'),
  healthyRevision: objectName
    .optional()
    .describe('The last revision with which all machines were ready. A failed one is rolled back to it.'),
  revisions: z
    .array(machineRevision)
    .max(100)
    .optional()
    .describe('The revisions that are kept, newest first. Nothing that they boot is removed from storage.')
    .meta(listMap('name')),
  failedRevision: failedRevision
    .optional()
    .describe('Set while what image and spec ask for has failed, or was rolled back by request.')
    .meta(ATOMIC_MAP),
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
  lastHandledUpdate: z
    .string()
    .max(256)
    .optional()
    .describe('The value of the annotation linuxkit.dev/update-requested-at that was last acted upon.'),
  lastHandledRollback: z
    .string()
    .max(256)
    .optional()
    .describe('The value of the annotation linuxkit.dev/rollback-to that was last acted upon.'),
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
export type FailedRevision = NonNullable<MachineStatus['failedRevision']>;
export type VolumeClaimTemplate = Immutable<z.infer<typeof volumeClaimTemplate>>;
export type MaintenanceWindow = Immutable<z.infer<typeof maintenanceWindow>>;
export type UpdatePolicy = Immutable<z.infer<typeof update>>;
export type MachinePhase = (typeof MACHINE_PHASES)[number];

const DEFAULT_POLICY = update.parse({}) as UpdatePolicy;

/** How a machine is updated: the defaults where its spec says nothing at all. */
export function updatePolicy({ update: given }: MachineSpec): UpdatePolicy {
  return given ?? DEFAULT_POLICY;
}

/**
 * Reads a LinuxKitMachine as the API server gives it. Fields of a later version are left aside;
 * defaults are filled in. Throws an ObjectError that names every offending field.
 */
export function parseMachine(value: unknown): LinuxKitMachine {
  return parseObject(MACHINE_KIND, linuxkitMachine, value);
}
