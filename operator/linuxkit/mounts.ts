import { InvalidSetting } from './errors.ts';
import { compareBytes, type JsonObject, unlessBlank, unlessEmpty } from './go-json.ts';
import type { MountSpec } from './schema.ts';
import { mountSource, type VolumesByName } from './volumes.ts';

/** The mounts of a container, from `tmpfs`, `binds` and `mounts`, over the defaults. */

export interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
}

export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

function defaultMounts(readonly: boolean): readonly Mount[] {
  const ro = readonly ? ['ro'] : [];
  const mount = (destination: string, type: string, ...options: readonly string[]): Mount => ({
    destination,
    type,
    source: type,
    options,
  });
  return [
    mount('/proc', 'proc', 'nosuid', 'nodev', 'noexec', 'relatime'),
    mount('/dev', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k', ...ro),
    mount('/dev/pts', 'devpts', 'nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'),
    mount('/sys', 'sysfs', 'nosuid', 'noexec', 'nodev', ...ro),
    mount('/sys/fs/cgroup', 'cgroup', 'nosuid', 'noexec', 'nodev', 'relatime', 'ro'),
  ];
}

/** Where a file system goes that is mounted without saying where. */
const DEFAULT_DESTINATIONS: ReadonlyMap<string, string> = new Map([
  ['proc', '/proc'],
  ['devpts', '/dev/pts'],
  ['sysfs', '/sys'],
  ['cgroup', '/sys/fs/cgroup'],
  ['mqueue', '/dev/mqueue'],
]);

export interface MountSettings {
  readonly tmpfs: readonly string[];
  readonly binds: readonly string[];
  readonly mounts: readonly MountSpec[];
}

/**
 * One mount for each destination, the later one where several name it, in the order of their
 * destinations: so `/dev` comes before `/dev/pts`. Throws {@link InvalidSetting}.
 */
export function containerMounts(
  settings: MountSettings,
  readonly: boolean,
  volumes: VolumesByName,
): readonly Mount[] {
  const mounts = [
    ...defaultMounts(readonly),
    ...settings.tmpfs.map(parseTmpfs),
    ...settings.binds.map((bind) => parseBind(bind, volumes)),
    ...settings.mounts.map((mount) => completeMount(mount, volumes)),
  ];
  return [...new Map(mounts.map((mount) => [mount.destination, mount])).values()].toSorted((a, b) =>
    compareBytes(a.destination, b.destination),
  );
}

/** `destination[:option,option]`. Throws {@link InvalidSetting}. */
export function parseTmpfs(text: string): Mount {
  const [destination = '', options, ...rest] = text.split(':');
  if (rest.length > 0) throw new InvalidSetting(`cannot parse tmpfs, too many ':': ${text}`);
  return { destination, type: 'tmpfs', source: 'tmpfs', options: splitOptions(options) };
}

/** `source:destination[:option,option]`. Throws {@link InvalidSetting}. */
export function parseBind(text: string, volumes: VolumesByName): Mount {
  const [source = '', destination, given, ...rest] = text.split(':');
  if (destination === undefined) throw new InvalidSetting(`cannot parse bind, missing ':': ${text}`);
  if (rest.length > 0) throw new InvalidSetting(`cannot parse bind, too many ':': ${text}`);
  const options = given === undefined ? ['rw', 'rbind', 'rshared'] : [...splitOptions(given), 'rbind'];
  return { destination, type: 'bind', source: mountSource(source, options, volumes), options };
}

/** Fills in what a mount leaves out. Throws {@link InvalidSetting} where that cannot be told. */
export function completeMount(mount: MountSpec, volumes: VolumesByName): Mount {
  const { source = '', destination = '', options = [] } = mount;
  const type = unlessBlank(mount.type) ?? impliedType(source, destination);
  if (type === undefined) throw new InvalidSetting(`mount for destination ${destination} is missing type`);
  const target = unlessBlank(destination) ?? DEFAULT_DESTINATIONS.get(type);
  if (target === undefined) throw new InvalidSetting(`mount type ${type} is missing destination`);
  const whole = { destination: target, type, options, ...mappingsOf(mount) };
  if (type !== 'bind') return { ...whole, source: unlessBlank(source) ?? type };
  if (source.startsWith('/')) return { ...whole, source };
  return { ...whole, source: mountSource(source, options, volumes), options: bindOptions(options) };
}

/** The type alone makes no bind mount: the runtime looks at the options. */
function bindOptions(options: readonly string[]): readonly string[] {
  return options.includes('bind') || options.includes('rbind') ? options : [...options, 'rbind'];
}

function impliedType(source: string, destination: string): string | undefined {
  if (DEFAULT_DESTINATIONS.has(source)) return source;
  return destination === '/dev' ? 'tmpfs' : undefined;
}

function splitOptions(text: string | undefined): readonly string[] {
  return text === undefined ? [] : text.split(',').filter((option) => option !== '');
}

function mappingsOf(mount: MountSpec): Pick<Mount, 'uidMappings' | 'gidMappings'> {
  return {
    ...(mount.uidmappings && { uidMappings: mount.uidmappings.map(idMapping) }),
    ...(mount.gidmappings && { gidMappings: mount.gidmappings.map(idMapping) }),
  };
}

/** Missing numbers are 0, as for Go. */
export function idMapping(mapping: {
  readonly containerID?: number | undefined;
  readonly hostID?: number | undefined;
  readonly size?: number | undefined;
}): IdMapping {
  return { containerID: mapping.containerID ?? 0, hostID: mapping.hostID ?? 0, size: mapping.size ?? 0 };
}

/** OCI runtime-spec, config.md, "Mounts". */
export function mountJson(mount: {
  readonly destination: string;
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly options?: readonly string[] | undefined;
  readonly uidMappings?: readonly IdMapping[] | undefined;
  readonly gidMappings?: readonly IdMapping[] | undefined;
}): JsonObject {
  return {
    destination: mount.destination,
    type: unlessBlank(mount.type),
    source: unlessBlank(mount.source),
    options: unlessEmpty(mount.options),
    uidMappings: mappingsJson(mount.uidMappings),
    gidMappings: mappingsJson(mount.gidMappings),
  };
}

export function mappingsJson(mappings: readonly IdMapping[] | undefined): readonly JsonObject[] | undefined {
  return unlessEmpty(mappings?.map(({ containerID, hostID, size }) => ({ containerID, hostID, size })));
}
