import type { InstanceSpec } from '../api/instance-spec.ts';
import type { Claim, Pod, VirtualMachineInstance } from '../api/types.ts';
import { guestDisks } from './guest-disks.ts';
import { hostnameOf } from './guest-network.ts';
import {
  BOOT_MOUNT,
  cpuTopology,
  graceSeconds,
  guestMebibytes,
  launchPlan,
  RUN_MOUNT,
  SERIAL_LOG,
} from './launch-plan.ts';
import { podProbes } from './probes.ts';

export const MIGRATION_LABEL = 'kubevirt.io/migrationJobUID';
/** On a pod that takes a machine over: the name of the pod that it takes it from. */
export const SOURCE_POD_ANNOTATION = 'standin.kubevirt.io/migrates-from';

/** What KubeVirt adds to the guest's memory for a small amd64 guest, in MiB. */
export const OVERHEAD_MIB = 268;
/** KubeVirt lets the pod live longer than the guest's grace period, so that it is not the pod's end that kills. */
const POD_GRACE_MARGIN_S = 15;
const LABEL_LIMIT = 63;

/** The takeover that a pod is made for. */
export interface Takeover {
  readonly migrationUid: string;
  readonly sourcePod: string;
}

export interface PodOptions {
  readonly launcherImage: string;
  readonly claims: ReadonlyMap<string, Claim>;
  readonly takeover?: Takeover;
}

/** The pod of an instance, built as KubeVirt 1.9 builds it with image volumes, as far as a guest can tell. */
export function launcherPod(vmi: VirtualMachineInstance, options: PodOptions): Pod {
  const { spec, metadata } = vmi;
  const { takeover } = options;
  const disks = guestDisks(vmi, options.claims);
  const uid = metadata.uid ?? '';
  const suffix = (takeover?.migrationUid ?? uid).slice(0, 5);
  const plan = launchPlan(vmi, disks, { incoming: takeover !== undefined });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `virt-launcher-${metadata.name.slice(0, 230)}-${suffix}`,
      namespace: metadata.namespace,
      labels: {
        ...metadata.labels,
        'kubevirt.io': 'virt-launcher',
        'kubevirt.io/created-by': uid,
        'vm.kubevirt.io/name': metadata.name.slice(0, LABEL_LIMIT),
        ...(takeover === undefined ? {} : { [MIGRATION_LABEL]: takeover.migrationUid }),
      },
      annotations: {
        ...metadata.annotations,
        'kubectl.kubernetes.io/default-container': 'compute',
        'kubevirt.io/domain': metadata.name,
        ...(takeover === undefined ? {} : { [SOURCE_POD_ANNOTATION]: takeover.sourcePod }),
        ...disks.annotations,
      },
      ownerReferences: [
        {
          apiVersion: 'kubevirt.io/v1',
          kind: 'VirtualMachineInstance',
          name: metadata.name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: graceSeconds(spec) + POD_GRACE_MARGIN_S,
      hostname: hostnameOf(vmi),
      securityContext: {
        runAsUser: 107,
        runAsGroup: 107,
        fsGroup: 107,
        runAsNonRoot: true,
        sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
      },
      ...scheduling(spec),
      volumes: [
        { name: 'run', emptyDir: {} },
        ...bootVolumes(spec, options.launcherImage),
        ...disks.podVolumes,
      ],
      ...pullSecret(spec),
      initContainers: [...console(spec, options.launcherImage), ...bootImageContainer(spec)],
      containers: [
        {
          name: 'compute',
          image: options.launcherImage,
          imagePullPolicy: 'IfNotPresent',
          command: ['/usr/bin/launch'],
          // Kubernetes expands $(NAME) in values; two dollars keep one as it is.
          env: [{ name: 'LAUNCH', value: JSON.stringify(plan).replaceAll('$(', '$$$$(') }],
          securityContext: RESTRICTED,
          resources: { requests: resources(spec) },
          volumeMounts: [
            RUN,
            ...(bootContainer(spec) === undefined
              ? []
              : [{ name: 'kernel-boot-volume', mountPath: BOOT_MOUNT, readOnly: true }]),
            ...disks.mounts,
          ],
          ...podProbes(spec),
        },
      ],
    },
  };
}

const RESTRICTED = {
  runAsUser: 107,
  runAsGroup: 107,
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
};
const RUN = { name: 'run', mountPath: RUN_MOUNT };

function bootContainer(spec: InstanceSpec) {
  return spec.domain.firmware?.kernelBoot?.container;
}

function scheduling(spec: InstanceSpec): object {
  const { nodeSelector, affinity, tolerations, topologySpreadConstraints, priorityClassName } = spec;
  return {
    ...(nodeSelector === undefined ? {} : { nodeSelector }),
    ...(affinity === undefined ? {} : { affinity }),
    ...(tolerations === undefined ? {} : { tolerations }),
    ...(topologySpreadConstraints === undefined ? {} : { topologySpreadConstraints }),
    ...(priorityClassName === undefined ? {} : { priorityClassName }),
  };
}

function resources(spec: InstanceSpec): { readonly memory: string; readonly cpu: string } {
  const { cores, sockets, threads } = cpuTopology(spec.domain.cpu);
  return {
    memory: `${guestMebibytes(spec) + OVERHEAD_MIB}Mi`,
    cpu: spec.domain.resources?.requests?.['cpu'] ?? `${100 * cores * sockets * threads}m`,
  };
}

function pullSecret(spec: InstanceSpec): object {
  const name = bootContainer(spec)?.imagePullSecret;
  return name ? { imagePullSecrets: [{ name }] } : {};
}

function bootVolumes(spec: InstanceSpec, launcherImage: string): object[] {
  const boot = bootContainer(spec);
  if (boot === undefined) return [];
  const { image: reference, imagePullPolicy: pullPolicy } = boot;
  return [
    {
      name: 'kernel-boot-volume',
      image: { reference, ...(pullPolicy === undefined ? {} : { pullPolicy }) },
    },
    { name: 'launcher-volume', image: { reference: launcherImage, pullPolicy: 'IfNotPresent' } },
  ];
}

/** The serial port's output as a container's log. */
function console(spec: InstanceSpec, launcherImage: string): object[] {
  if (spec.domain.devices.logSerialConsole === false) return [];
  return [
    {
      name: 'guest-console-log',
      image: launcherImage,
      imagePullPolicy: 'IfNotPresent',
      restartPolicy: 'Always',
      command: ['/usr/bin/launch', 'follow', SERIAL_LOG],
      securityContext: RESTRICTED,
      volumeMounts: [RUN],
    },
  ];
}

/** Runs from the boot image itself, with a binary brought along: its status names the digest. */
function bootImageContainer(spec: InstanceSpec): object[] {
  const boot = bootContainer(spec);
  if (boot === undefined) return [];
  return [
    {
      name: 'volumekernel-boot-volume',
      image: boot.image,
      ...(boot.imagePullPolicy === undefined ? {} : { imagePullPolicy: boot.imagePullPolicy }),
      command: ['/container-disk-binary/bin/busybox', 'true'],
      securityContext: RESTRICTED,
      volumeMounts: [{ name: 'launcher-volume', mountPath: '/container-disk-binary', readOnly: true }],
    },
  ];
}
