import { InvalidSetting } from './errors.ts';
import { type JsonObject, unlessBlank } from './go-json.ts';
import type { DeviceSpec } from './schema.ts';

/** Device nodes of a container, and the permission to use them (OCI runtime-spec, config-linux.md, "Devices"). */

/** Stands for access to every device of a type, without a node. */
const ALL = 'all';

/** Entry of `linux.devices`; none for `all`. Throws {@link InvalidSetting} where the mode is missing. */
export function deviceNode(device: DeviceSpec): JsonObject | undefined {
  if (device.path === ALL) return undefined;
  if (device.mode === undefined || device.mode === '') {
    throw new InvalidSetting(`device ${device.path} needs a mode, such as '0660'`);
  }
  return {
    path: device.path,
    type: device.type ?? '',
    major: device.major ?? 0,
    minor: device.minor ?? 0,
    fileMode: Number.parseInt(device.mode, 8),
  };
}

/** Entry of `linux.resources.devices`: read, write and mknod. */
export function deviceAccess(device: DeviceSpec): JsonObject {
  return {
    allow: true,
    type: unlessBlank(device.type),
    ...(device.path !== ALL && { major: device.major ?? 0, minor: device.minor ?? 0 }),
    access: 'rwm',
  };
}
