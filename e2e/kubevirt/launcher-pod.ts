import { posix } from 'node:path';
import type { Pod, Probe, VirtualMachineInstance } from './types.ts';

/** Exit code of the launcher when it cannot open what it was told to boot. */
export const SYNC_FAILED_EXIT = 42;

const BOOT_MOUNT = '/var/run/kubevirt-kernel-boot';
const RUN_MOUNT = '/var/run/vm';
/** What KubeVirt adds to the guest's memory for a small amd64 guest, in MiB. */
const OVERHEAD_MIB = 268;

/**
 * Runs QEMU over exactly the files of the boot image. The guest's power button is pressed when
 * the pod is told to end; the serial port goes to a file that the console container follows.
 */
const LAUNCHER = `
for file in "$KERNEL" "$INITRD"; do
  [ -z "$file" ] || [ -r "$file" ] || { echo "could not open '$file'" >/dev/termination-log; exit ${SYNC_FAILED_EXIT}; }
done
mkfifo ${RUN_MOUNT}/monitor.in ${RUN_MOUNT}/monitor.out
: >>${RUN_MOUNT}/serial.log
set -- -name "$VM_NAME" -accel tcg,thread=multi -machine q35 -cpu max -m "$VM_MEMORY" -smp "$VM_CPUS" -nodefaults -no-user-config -display none
set -- "$@" -serial file:${RUN_MOUNT}/serial.log -chardev pipe,id=monitor,path=${RUN_MOUNT}/monitor -mon chardev=monitor,mode=readline
set -- "$@" -kernel "$KERNEL" -append "$KERNEL_ARGS" -device virtio-rng-pci
[ -z "$INITRD" ] || set -- "$@" -initrd "$INITRD"
[ -z "$NETDEV" ] || set -- "$@" -netdev "$NETDEV" -device virtio-net-pci,netdev=pod,romfile=
[ "$REBOOT_POLICY" != Terminate ] || set -- "$@" -no-reboot
qemu-system-x86_64 "$@" 2>/dev/termination-log &
qemu=$!
cat ${RUN_MOUNT}/monitor.out >/dev/null &
trap 'echo system_powerdown >${RUN_MOUNT}/monitor.in' TERM
code=0
while kill -0 $qemu 2>/dev/null; do wait $qemu; code=$?; done
exit $code
`;

/** The pod of an instance, built as KubeVirt 1.9 builds it with image volumes, as far as a guest can tell. */
export function launcherPod(vmi: VirtualMachineInstance, launcherImage: string): Pod {
  const { domain } = vmi.spec;
  const container = domain.firmware?.kernelBoot?.container;
  const memory = mebibytes(domain.memory?.guest ?? '0');
  const cpus = (domain.cpu?.cores ?? 1) * (domain.cpu?.sockets ?? 1) * (domain.cpu?.threads ?? 1);
  const inBoot = (path: string | undefined) =>
    path === undefined || path === '' ? '' : posix.join(BOOT_MOUNT, path);
  const restricted = {
    runAsUser: 107,
    runAsGroup: 107,
    runAsNonRoot: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  };
  const runMount = { name: 'run', mountPath: RUN_MOUNT };
  const bootMount = { name: 'kernel-boot-volume', mountPath: BOOT_MOUNT, readOnly: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `virt-launcher-${vmi.metadata.name}-${(vmi.metadata.uid ?? '').slice(0, 5)}`,
      namespace: vmi.metadata.namespace,
      labels: {
        ...vmi.metadata.labels,
        'kubevirt.io': 'virt-launcher',
        'kubevirt.io/created-by': vmi.metadata.uid ?? '',
        'vm.kubevirt.io/name': vmi.metadata.name,
      },
      annotations: {
        'kubevirt.io/domain': vmi.metadata.name,
        'kubevirt.io/vm-generation': vmi.metadata.annotations?.['kubevirt.io/vm-generation'] ?? '0',
      },
      ownerReferences: [
        {
          apiVersion: 'kubevirt.io/v1',
          kind: 'VirtualMachineInstance',
          name: vmi.metadata.name,
          uid: vmi.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: (vmi.spec.terminationGracePeriodSeconds ?? 30) + 15,
      hostname: vmi.spec.hostname ?? vmi.metadata.name,
      securityContext: {
        runAsUser: 107,
        runAsGroup: 107,
        fsGroup: 107,
        runAsNonRoot: true,
        sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
      },
      ...(vmi.spec.nodeSelector === undefined ? {} : { nodeSelector: vmi.spec.nodeSelector }),
      ...(vmi.spec.affinity === undefined ? {} : { affinity: vmi.spec.affinity }),
      ...(vmi.spec.tolerations === undefined ? {} : { tolerations: vmi.spec.tolerations }),
      ...(vmi.spec.priorityClassName === undefined ? {} : { priorityClassName: vmi.spec.priorityClassName }),
      volumes: [
        { name: 'run', emptyDir: {} },
        ...(container === undefined
          ? []
          : [
              {
                name: 'kernel-boot-volume',
                image: {
                  reference: container.image,
                  ...(container.imagePullPolicy === undefined
                    ? {}
                    : { pullPolicy: container.imagePullPolicy }),
                },
              },
              { name: 'launcher-volume', image: { reference: launcherImage, pullPolicy: 'IfNotPresent' } },
            ]),
      ],
      ...(container?.imagePullSecret === undefined
        ? {}
        : { imagePullSecrets: [{ name: container.imagePullSecret }] }),
      initContainers: [
        {
          name: 'guest-console-log',
          image: launcherImage,
          imagePullPolicy: 'IfNotPresent',
          restartPolicy: 'Always',
          command: [
            '/bin/busybox',
            'sh',
            '-c',
            `: >>${RUN_MOUNT}/serial.log; exec /bin/busybox tail -n +1 -F ${RUN_MOUNT}/serial.log`,
          ],
          securityContext: restricted,
          volumeMounts: [runMount],
        },
        ...(container === undefined
          ? []
          : [
              {
                // Runs from the boot image itself, with a binary brought along: its status names the digest.
                name: 'volumekernel-boot-volume',
                image: container.image,
                ...(container.imagePullPolicy === undefined
                  ? {}
                  : { imagePullPolicy: container.imagePullPolicy }),
                command: ['/container-disk-binary/bin/busybox', 'true'],
                securityContext: restricted,
                volumeMounts: [
                  { name: 'launcher-volume', mountPath: '/container-disk-binary', readOnly: true },
                ],
              },
            ]),
      ],
      containers: [
        {
          name: 'compute',
          image: launcherImage,
          imagePullPolicy: 'IfNotPresent',
          command: ['/bin/busybox', 'sh', '-c', LAUNCHER],
          env: [
            { name: 'PATH', value: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' },
            { name: 'VM_NAME', value: vmi.metadata.name },
            { name: 'VM_MEMORY', value: `${memory}M` },
            { name: 'VM_CPUS', value: String(cpus) },
            { name: 'KERNEL', value: inBoot(container?.kernelPath) },
            { name: 'INITRD', value: inBoot(container?.initrdPath) },
            // Kubernetes expands $(NAME) in values; two dollars keep one as it is.
            {
              name: 'KERNEL_ARGS',
              value: (domain.firmware?.kernelBoot?.kernelArgs ?? '').replaceAll('$(', '$$('),
            },
            { name: 'NETDEV', value: netdev(vmi) },
            { name: 'REBOOT_POLICY', value: domain.rebootPolicy ?? 'Reboot' },
          ],
          securityContext: restricted,
          resources: { requests: { memory: `${memory + OVERHEAD_MIB}Mi`, cpu: `${100 * cpus}m` } },
          volumeMounts: [runMount, ...(container === undefined ? [] : [bootMount])],
          ...(vmi.spec.readinessProbe === undefined ? {} : { readinessProbe: vmi.spec.readinessProbe }),
          ...(vmi.spec.livenessProbe === undefined ? {} : { livenessProbe: vmi.spec.livenessProbe }),
        },
      ],
    },
  };
}

/**
 * QEMU's user network with one forward per declared or probed TCP port. KubeVirt's masquerade
 * forwards every port when none is declared; a user network cannot, so nothing is reachable then.
 */
function netdev(vmi: VirtualMachineInstance): string {
  const interfaces = vmi.spec.domain.devices.interfaces ?? [];
  if (interfaces.length === 0 && vmi.spec.domain.devices.autoattachPodInterface === false) return '';
  const declared = interfaces.flatMap((nic) =>
    (nic.ports ?? []).filter((port) => port.protocol !== 'UDP').map((port) => port.port),
  );
  const ports = new Set([
    ...declared,
    ...probePorts(vmi.spec.readinessProbe),
    ...probePorts(vmi.spec.livenessProbe),
  ]);
  return [
    'user',
    'id=pod',
    'net=10.0.2.0/24',
    'host=10.0.2.1',
    'dhcpstart=10.0.2.2',
    `hostname=${vmi.metadata.name}`,
    ...[...ports].map((port) => `hostfwd=tcp::${port}-:${port}`),
  ].join(',');
}

function probePorts(probe: Probe | undefined): number[] {
  const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port;
  return port === undefined ? [] : [Number(port)];
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A Kubernetes quantity in whole MiB, rounded down. */
function mebibytes(quantity: string): number {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(quantity);
  const unit = UNITS[match?.[2] ?? ''];
  if (match?.[1] === undefined || unit === undefined)
    throw new RangeError(`not a quantity of memory: ${quantity}`);
  return Math.floor((Number(match[1]) * unit) / 2 ** 20);
}
