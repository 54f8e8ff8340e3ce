import type { Disk, InstanceSpec } from '../api/instance-spec.ts';
import type { Claim, VirtualMachineInstance } from '../api/types.ts';
import { DISK_FOLDER, type IsoPlan, type Source, sourceOf } from './volume-sources.ts';

/** Everything that an instance's volumes need, of pod, launcher and QEMU. */
export interface GuestDisks {
  readonly podVolumes: readonly object[];
  readonly mounts: readonly object[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly isos: readonly IsoPlan[];
  readonly disks: readonly { readonly path: string; readonly size: number }[];
  readonly arguments: readonly string[];
  /** Disks that are written to and that no other node sees: a migration has to copy them. */
  readonly local: boolean;
  /** Of a volume that the stand-in does not play. */
  readonly problem?: string;
}

/** Volumes without a disk are left out, as KubeVirt leaves them. */
export function guestDisks(vmi: VirtualMachineInstance, claims: ReadonlyMap<string, Claim>): GuestDisks {
  const { spec } = vmi;
  const sources: Source[] = [];
  const lines: string[] = [];
  for (const [index, disk] of (spec.domain.devices.disks ?? []).entries()) {
    const volume = spec.volumes?.find((each) => each.name === disk.name);
    if (volume === undefined) continue;
    const source = sourceOf(vmi, volume, claims);
    if ('problem' in source) return { ...NOTHING, problem: source.problem };
    sources.push(source);
    lines.push(...diskArguments(disk, index, source));
  }
  if (sources.length === 0) return NOTHING;
  return {
    podVolumes: [{ name: 'disks', emptyDir: {} }, ...sources.flatMap((source) => source.podVolumes)],
    mounts: [{ name: 'disks', mountPath: DISK_FOLDER }, ...sources.flatMap((source) => source.mounts)],
    annotations: Object.assign({}, ...sources.map((source) => source.annotations)) as Record<string, string>,
    isos: sources.flatMap(({ iso }) => iso ?? []),
    disks: sources.flatMap(({ disk }) => disk ?? []),
    arguments: [...controllers(spec), ...lines],
    local: sources.some((source) => source.local === true),
  };
}

const NOTHING: GuestDisks = {
  podVolumes: [],
  mounts: [],
  annotations: {},
  isos: [],
  disks: [],
  arguments: [],
  local: false,
};

function controllers(spec: InstanceSpec): string[] {
  const buses = new Set((spec.domain.devices.disks ?? []).map((disk) => busOf(disk)));
  return [
    ...(buses.has('scsi') ? ['-device', 'virtio-scsi-pci,id=scsi0'] : []),
    ...(buses.has('usb') ? ['-device', 'qemu-xhci,id=usb0'] : []),
  ];
}

function busOf(disk: Disk): string {
  return (disk.disk ?? disk.cdrom ?? disk.lun)?.bus ?? 'sata';
}

function diskArguments(disk: Disk, index: number, source: Source): string[] {
  const id = `drive${index}`;
  const cdrom = disk.cdrom !== undefined;
  const readonly = cdrom || source.readonly || disk.disk?.readonly === true;
  const drive = [
    `file=${source.file}`,
    'if=none',
    `id=${id}`,
    'format=raw',
    ...(cdrom ? ['media=cdrom'] : []),
    ...(readonly ? ['readonly=on'] : []),
  ];
  const serial = disk.serial === undefined ? '' : `,serial=${disk.serial}`;
  return ['-drive', drive.join(','), '-device', `${device(busOf(disk), cdrom, id, index)}${serial}`];
}

function device(bus: string, cdrom: boolean, id: string, index: number): string {
  switch (bus) {
    case 'scsi':
      return `${cdrom ? 'scsi-cd' : 'scsi-hd'},drive=${id},bus=scsi0.0`;
    case 'usb':
      return `usb-storage,drive=${id},bus=usb0.0`;
    case 'virtio':
      return `virtio-blk-pci,drive=${id}`;
    default:
      // The machine has six ports.
      return `${cdrom ? 'ide-cd' : 'ide-hd'},drive=${id},bus=ide.${index % 6}`;
  }
}
