import type { Disk, InstanceSpec } from '../api/instance-spec.ts';
import type { Cause } from './cause.ts';

const INLINE_USER_DATA_LIMIT = 2048;
const BUSES = ['virtio', 'sata', 'scsi', 'usb'];

/** What KubeVirt refuses of disks and volumes; `field` leads to the spec. A volume without a disk is simply unused. */
export function storageRefusals(spec: InstanceSpec, field: string): Cause[] {
  return [
    ...diskRefusals(spec, `${field}.domain.devices.disks`),
    ...volumeRefusals(spec, `${field}.volumes`),
  ];
}

function diskRefusals(spec: InstanceSpec, field: string): Cause[] {
  const volumes = new Set((spec.volumes ?? []).map((volume) => volume.name));
  return (spec.domain.devices.disks ?? []).flatMap((disk, index, all) => {
    const at = `${field}[${index}]`;
    const causes: Cause[] = [];
    if (!volumes.has(disk.name)) {
      causes.push({ field: `${at}.name`, message: `${at}.Name '${disk.name}' not found.` });
    }
    const first = all.findIndex((other) => other.name === disk.name);
    if (first < index) {
      causes.push({
        field: `${at}.name`,
        message: `${field}[${first}] and ${at} must not have the same Name.`,
      });
    }
    return [...causes, ...targetRefusals(disk, spec.architecture, at)];
  });
}

function targetRefusals(disk: Disk, architecture: string | undefined, field: string): Cause[] {
  const targets = [disk.disk, disk.cdrom, disk.lun].filter((target) => target !== undefined);
  if (targets.length > 1) return [{ field, message: `${field} can have only a single target type defined` }];
  const bus = targets[0]?.bus;
  if (bus === undefined) return [];
  if (!BUSES.includes(bus))
    return [{ field: `${field}.bus`, message: `${field} is set with an unrecognized bus ${bus}` }];
  if (disk.cdrom !== undefined && bus === 'virtio')
    return [{ field: `${field}.cdrom.bus`, message: 'Bus type virtio is invalid for CD-ROM device' }];
  if (architecture === 'arm64' && bus === 'sata')
    return [
      {
        field: `${field}.bus`,
        message: 'Arm64 not support this disk bus type, please use virtio or scsi',
      },
    ];
  return [];
}

function volumeRefusals(spec: InstanceSpec, field: string): Cause[] {
  return (spec.volumes ?? []).flatMap((volume, index, all) => {
    const at = `${field}[${index}]`;
    const causes: Cause[] = [];
    const sources = Object.entries(volume).filter(([key, source]) => key !== 'name' && source !== undefined);
    if (sources.length !== 1)
      causes.push({ field: at, message: `${at} must have exactly one source type set` });
    const first = all.findIndex((other) => other.name === volume.name);
    if (first < index)
      causes.push({
        field: `${at}.name`,
        message: `${field}[${first}].name '${volume.name}' must not be used more than once`,
      });
    const inline = volume.cloudInitNoCloud;
    if (inline === undefined) return causes;
    const text = inline.userData ?? decoded(inline.userDataBase64);
    if (text === undefined && inline.secretRef === undefined && networkData(inline) === undefined)
      causes.push({
        field: `${at}.cloudInitNoCloud`,
        message: `${at}.cloudInitNoCloud must have at least one userdatasource or one networkdatasource set.`,
      });
    if (text !== undefined && Buffer.byteLength(text) > INLINE_USER_DATA_LIMIT)
      causes.push({
        field: `${at}.cloudInitNoCloud.userData`,
        message: `${at}.cloudInitNoCloud userdata exceeds ${INLINE_USER_DATA_LIMIT} byte limit. Should use UserDataSecretRef for larger data.`,
      });
    return causes;
  });
}

function networkData(inline: {
  networkData?: string;
  networkDataBase64?: string;
  networkDataSecretRef?: object;
}) {
  return inline.networkData ?? inline.networkDataBase64 ?? inline.networkDataSecretRef;
}

function decoded(text: string | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text, 'base64').toString();
}
