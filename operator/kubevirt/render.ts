import type { Artifact } from '../api/image.ts';
import type { LinuxKitMachine, MachineSpec } from '../api/machine.ts';
import {
  ANNOTATION_ARTIFACT,
  ANNOTATION_RESTART,
  ANNOTATION_REVISION,
  LABEL_MACHINE,
  LABEL_ORDINAL,
} from '../api/names.ts';
import { claimName } from './claim.ts';
import { machineName, metadataConfigMap } from './guest-metadata.ts';
import { kernelArguments } from './kernel-args.ts';
import { ownedBy } from './owner.ts';
import type { BootRevision } from './revision.ts';
import { mergeTemplate } from './template-merge.ts';
import {
  type Disk,
  type Domain,
  type InstanceSpec,
  type Interface,
  KUBEVIRT_API_VERSION,
  type Network,
  type VirtualMachine,
  type Volume,
} from './types.ts';

/** What the cluster, not the machine, decides of a rendering. */
export interface RenderOptions {
  /** `HOST:PORT` under which the node's container runtime reaches the boot registry; left out where there is none. */
  readonly bootRegistryHost?: string;
}

/** Where the boot image holds its two files. Their base names differ: KubeVirt puts both into one folder. */
export const BOOT_PATHS = { kernel: '/boot/kernel', initrd: '/boot/initrd.img' } as const;

const POD_NETWORK = 'default';
const METADATA_DISK = 'linuxkit-metadata';
/** The label by which LinuxKit's metadata package knows its CD-ROM. */
const METADATA_LABEL = 'cidata';

/** The reference that a virtual machine boots, pinned: of the registry on its own node, or of one it was pushed to. */
export function bootReference({ bootImage }: Artifact, options: RenderOptions): string {
  return bootImage.repository === undefined && options.bootRegistryHost !== undefined
    ? `${options.bootRegistryHost}/${bootImage.reference}`
    : bootImage.reference;
}

/**
 * The VirtualMachine of one ordinal, holding the fields that are ours and no others: it is
 * applied, and KubeVirt's webhooks add to it what we leave out. What `renderProblems` finds is
 * not rendered.
 */
export function renderVirtualMachine(
  machine: LinuxKitMachine,
  ordinal: number,
  revision: BootRevision,
  options: RenderOptions,
): VirtualMachine {
  const { spec, metadata } = machine;
  const { artifact, restart } = revision;
  const labels = { [LABEL_MACHINE]: metadata.name, [LABEL_ORDINAL]: String(ordinal) };
  return {
    apiVersion: KUBEVIRT_API_VERSION,
    kind: 'VirtualMachine',
    metadata: {
      name: machineName(machine, ordinal),
      namespace: metadata.namespace,
      labels,
      ownerReferences: [ownedBy(machine)],
    },
    spec: {
      runStrategy: spec.runStrategy,
      ...(spec.instancetype === undefined ? {} : { instancetype: spec.instancetype }),
      ...(spec.preference === undefined ? {} : { preference: spec.preference }),
      template: {
        metadata: {
          labels: { ...spec.template?.metadata?.labels, ...labels },
          annotations: {
            ...spec.template?.metadata?.annotations,
            [ANNOTATION_ARTIFACT]: artifact.digest,
            [ANNOTATION_REVISION]: revision.name,
            ...(restart === undefined ? {} : { [ANNOTATION_RESTART]: restart }),
          },
        },
        spec: mergeTemplate(instanceSpec(machine, ordinal, artifact, options), spec.template?.spec)
          .value as InstanceSpec,
      },
    },
  };
}

/** The instance as the machine's own fields have it. */
export function instanceSpec(
  machine: LinuxKitMachine,
  ordinal: number,
  artifact: Artifact,
  options: RenderOptions,
): InstanceSpec {
  const { spec } = machine;
  const { interfaces, networks } = networking(spec);
  const { disks, volumes } = storage(machine, ordinal);
  const { scheduling } = spec;
  const podNetwork = spec.network?.pod ?? true;
  const pullSecret = artifact.bootImage.pullSecretName;
  return {
    architecture: artifact.architecture,
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
    evictionStrategy: spec.evictionStrategy,
    domain: {
      ...sizing(spec),
      firmware: {
        kernelBoot: {
          kernelArgs: kernelArguments(artifact, spec.kernelArgs),
          container: {
            image: bootReference(artifact, options),
            // Always fails while the registry is down, even for a digest that is on the node.
            imagePullPolicy: 'IfNotPresent',
            ...(pullSecret === undefined ? {} : { imagePullSecret: pullSecret }),
            kernelPath: BOOT_PATHS.kernel,
            initrdPath: BOOT_PATHS.initrd,
          },
        },
      },
      devices: {
        ...(disks.length === 0 ? {} : { disks }),
        ...(interfaces.length === 0 ? {} : { interfaces }),
        // Without this KubeVirt adds the pod network by bridge, which keeps a machine from being migrated.
        ...(podNetwork ? {} : { autoattachPodInterface: false }),
        rng: {},
        logSerialConsole: spec.logSerialConsole,
      },
    },
    ...(networks.length === 0 ? {} : { networks }),
    ...(volumes.length === 0 ? {} : { volumes }),
    ...(spec.readinessProbe === undefined ? {} : { readinessProbe: spec.readinessProbe }),
    ...(spec.livenessProbe === undefined ? {} : { livenessProbe: spec.livenessProbe }),
    ...(scheduling?.nodeSelector === undefined ? {} : { nodeSelector: scheduling.nodeSelector }),
    ...(scheduling?.tolerations === undefined ? {} : { tolerations: scheduling.tolerations }),
    ...(scheduling?.affinity === undefined ? {} : { affinity: scheduling.affinity }),
    ...(scheduling?.topologySpreadConstraints === undefined
      ? {}
      : { topologySpreadConstraints: scheduling.topologySpreadConstraints }),
    ...(scheduling?.priorityClassName === undefined
      ? {}
      : { priorityClassName: scheduling.priorityClassName }),
  };
}

/** Processors and memory; neither beside an instance type, which would be refused. */
function sizing(spec: MachineSpec): Pick<Domain, 'cpu' | 'memory'> {
  if (spec.memory === undefined) return {};
  return { cpu: spec.cpu ?? { cores: 1, sockets: 1, threads: 1 }, memory: { guest: String(spec.memory) } };
}

function networking(spec: MachineSpec): {
  readonly interfaces: readonly Interface[];
  readonly networks: readonly Network[];
} {
  const interfaces: Interface[] = [];
  const networks: Network[] = [];
  if (spec.network?.pod ?? true) {
    const ports = spec.network?.ports;
    interfaces.push({ name: POD_NETWORK, masquerade: {}, ...(ports === undefined ? {} : { ports }) });
    networks.push({ name: POD_NETWORK, pod: {} });
  }
  for (const { name, binding, networkAttachmentDefinition } of spec.network?.additional ?? []) {
    interfaces.push(binding === 'sriov' ? { name, sriov: {} } : { name, bridge: {} });
    networks.push({ name, multus: { networkName: networkAttachmentDefinition } });
  }
  return { interfaces, networks };
}

function storage(
  machine: LinuxKitMachine,
  ordinal: number,
): { readonly disks: readonly Disk[]; readonly volumes: readonly Volume[] } {
  const disks: Disk[] = [];
  const volumes: Volume[] = [];
  for (const disk of machine.spec.disks ?? []) {
    const { name, bus, serial, persistentVolumeClaim, volumeClaimTemplate, emptyDisk } = disk;
    const readonly = persistentVolumeClaim?.readOnly === true ? { readonly: true } : {};
    disks.push({ name, disk: { bus, ...readonly }, ...(serial === undefined ? {} : { serial }) });
    if (persistentVolumeClaim !== undefined) volumes.push({ name, persistentVolumeClaim });
    else if (volumeClaimTemplate !== undefined)
      volumes.push({ name, persistentVolumeClaim: { claimName: claimName(machine, name, ordinal) } });
    else if (emptyDisk !== undefined)
      volumes.push({ name, emptyDisk: { capacity: String(emptyDisk.capacity) } });
  }
  const configMap = metadataConfigMap(machine, ordinal);
  const secret = machine.spec.metadata?.secretRef;
  if (configMap !== undefined) {
    volumes.push({
      name: METADATA_DISK,
      configMap: { name: configMap.metadata.name, volumeLabel: METADATA_LABEL },
    });
  } else if (secret !== undefined) {
    volumes.push({ name: METADATA_DISK, secret: { secretName: secret.name, volumeLabel: METADATA_LABEL } });
  }
  // SCSI and not SATA: arm64 machines have no SATA, and kernels made for clouds no driver for it.
  if (volumes.at(-1)?.name === METADATA_DISK) disks.push({ name: METADATA_DISK, cdrom: { bus: 'scsi' } });
  return { disks, volumes };
}
