import { capabilitySets } from './capabilities.ts';
import { deviceAccess, deviceNode } from './devices.ts';
import { type JsonObject, sortedMap, unlessBlank, unlessEmpty } from './go-json.ts';
import { type ContainerIds, numericId } from './ids.ts';
import { containerMounts, idMapping, mappingsJson, mountJson } from './mounts.ts';
import { namespaces } from './namespaces.ts';
import { resourcesJson } from './resources.ts';
import { parseRlimit } from './rlimits.ts';
import type { ContainerSettings } from './settings.ts';
import type { VolumesByName } from './volumes.ts';

/**
 * A container's `config.json`: what runc and containerd run it by (OCI runtime-spec 1.2.1,
 * config.md and config-linux.md). Keys in the order of the specification's Go types, and left
 * out under the same conditions.
 */

const OCI_VERSION = '1.2.1';

/** Throws `InvalidSetting` where a setting, which may come from a label, cannot be understood. */
export function runtimeSpec(
  settings: ContainerSettings,
  names: { readonly ids: ContainerIds; readonly volumes: VolumesByName },
): JsonObject {
  const mounts = containerMounts(settings, settings.readonly, names.volumes);
  return {
    ociVersion: OCI_VERSION,
    process: processJson(settings, names.ids),
    root: { path: 'rootfs', readonly: settings.readonly || undefined },
    hostname: unlessBlank(settings.hostname),
    mounts: mounts.map(mountJson),
    annotations: sortedMap(settings.annotations),
    linux: linuxJson(settings),
  };
}

function processJson(settings: ContainerSettings, ids: ContainerIds): JsonObject {
  const sets = capabilitySets(settings.capabilities, settings.ambient);
  return {
    user: {
      uid: numericId(settings.uid, ids),
      gid: numericId(settings.gid, ids),
      additionalGids: unlessEmpty(settings.additionalGids.map((id) => numericId(id, ids))),
    },
    args: unlessEmpty(settings.args),
    env: unlessEmpty(settings.env),
    cwd: settings.cwd,
    capabilities: {
      bounding: unlessEmpty(sets.bounding),
      effective: unlessEmpty(sets.effective),
      inheritable: unlessEmpty(sets.inheritable),
      permitted: unlessEmpty(sets.permitted),
      ambient: unlessEmpty(sets.ambient),
    },
    rlimits: unlessEmpty(
      settings.rlimits.map(parseRlimit).map(({ type, hard, soft }): JsonObject => ({ type, hard, soft })),
    ),
    noNewPrivileges: settings.noNewPrivileges || undefined,
    oomScoreAdj: settings.oomScoreAdj,
  };
}

function linuxJson(settings: ContainerSettings): JsonObject {
  return {
    uidMappings: mappingsJson(settings.uidMappings?.map(idMapping)),
    gidMappings: mappingsJson(settings.gidMappings?.map(idMapping)),
    sysctl: sortedMap(settings.sysctl),
    resources: resourcesJson(settings.resources, settings.devices.map(deviceAccess)),
    cgroupsPath: unlessBlank(settings.cgroupsPath),
    namespaces: namespaces(settings),
    devices: unlessEmpty(settings.devices.map(deviceNode).filter((node) => node !== undefined)),
    rootfsPropagation: unlessBlank(settings.rootfsPropagation),
    maskedPaths: unlessEmpty(settings.maskedPaths),
    readonlyPaths: unlessEmpty(settings.readonlyPaths),
  };
}
