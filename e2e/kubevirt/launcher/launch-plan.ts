import { posix } from 'node:path';
import type { Cpu, InstanceSpec } from '../api/instance-spec.ts';
import { mebibytesOf } from '../api/quantity.ts';
import type { VirtualMachineInstance } from '../api/types.ts';
import type { GuestDisks } from './guest-disks.ts';
import { networkArguments } from './guest-network.ts';
import { CONTROL_PORT } from './probes.ts';
import type { IsoPlan } from './volume-sources.ts';

/** Where the pod has the boot image, and the folder that launcher and console share. */
export const BOOT_MOUNT = '/var/run/kubevirt-kernel-boot';
export const RUN_MOUNT = '/var/run/vm';
export const SERIAL_LOG = `${RUN_MOUNT}/serial.log`;
/** Where a QEMU that is to take a machine over waits for it. */
export const MIGRATION_PORT = 65_398;

const DEFAULT_GRACE_S = 30;
/** Software emulation of the machine type that KubeVirt uses, with nothing but a serial port and a source of randomness. */
const FIXED_ARGUMENTS: readonly string[] =
  `-accel tcg,thread=multi -machine q35 -nodefaults -no-user-config -display none -serial file:${SERIAL_LOG} -device virtio-rng-pci`.split(
    ' ',
  );

/** As the launcher reads it (`images/guest/qemu-launcher/main.go`). */
export interface LaunchPlan {
  readonly kernel: string;
  readonly initrd: string;
  readonly arguments: readonly string[];
  readonly graceSeconds: number;
  readonly controlPort: number;
  readonly stateFolder: string;
  readonly isos: readonly IsoPlan[];
  readonly disks: readonly { readonly path: string; readonly size: number }[];
}

/** QEMU over exactly the files of the boot image; `incoming` to take a running machine over. */
export function launchPlan(
  vmi: VirtualMachineInstance,
  disks: GuestDisks,
  options: { readonly incoming: boolean },
): LaunchPlan {
  const { spec } = vmi;
  const boot = spec.domain.firmware?.kernelBoot;
  const kernel = inBoot(boot?.container?.kernelPath);
  const initrd = initrdPath(kernel, inBoot(boot?.container?.initrdPath));
  const { cores, sockets, threads } = cpuTopology(spec.domain.cpu);
  return {
    kernel,
    initrd,
    graceSeconds: graceSeconds(spec),
    controlPort: CONTROL_PORT,
    stateFolder: RUN_MOUNT,
    isos: disks.isos,
    disks: disks.disks,
    arguments: [
      ...FIXED_ARGUMENTS,
      '-name',
      vmi.metadata.name,
      '-cpu',
      cpuModel(spec.domain.cpu),
      '-m',
      `${guestMebibytes(spec)}M`,
      '-smp',
      `${cores * sockets * threads},sockets=${sockets},cores=${cores},threads=${threads}`,
      ...(kernel === '' ? [] : ['-kernel', kernel]),
      ...(initrd === '' ? [] : ['-initrd', initrd]),
      ...(boot?.kernelArgs ? ['-append', boot.kernelArgs] : []),
      ...networkArguments(vmi),
      ...disks.arguments,
      // A guest that reboots under this policy has ended; its successor boots what is wanted then.
      ...(spec.domain.rebootPolicy === 'Terminate' ? ['-no-reboot'] : []),
      ...(options.incoming ? ['-incoming', `tcp:0.0.0.0:${MIGRATION_PORT}`] : []),
    ],
  };
}

function inBoot(path: string | undefined): string {
  return path === undefined || path === '' ? '' : posix.join(BOOT_MOUNT, path);
}

/** KubeVirt links both files into one folder by their base names: two of the same name are one file. */
function initrdPath(kernel: string, initrd: string): string {
  return posix.basename(initrd) === posix.basename(kernel) ? kernel : initrd;
}

/** Seconds between power button and power loss. Admission lets negative ones pass. */
export function graceSeconds(spec: InstanceSpec): number {
  return Math.max(0, spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_S);
}

export function cpuTopology(cpu: Cpu | undefined): Required<Pick<Cpu, 'cores' | 'sockets' | 'threads'>> {
  return { cores: cpu?.cores ?? 1, sockets: cpu?.sockets ?? 1, threads: cpu?.threads ?? 1 };
}

/** Under software emulation the host's model is the most that there is. */
function cpuModel(cpu: Cpu | undefined): string {
  const model = cpu?.model ?? 'host-model';
  return model === 'host-model' || model === 'host-passthrough' ? 'max' : model;
}

export function guestMebibytes({ domain }: InstanceSpec): number {
  return mebibytesOf(domain.memory?.guest ?? domain.resources?.requests?.['memory'] ?? '0');
}
