import { VOLUMES } from './constants.ts';
import { ancestors, directory, type PlannedEntry } from './entries.ts';
import { InvalidSetting } from './errors.ts';

/** Volumes: directories outside of the containers, by name. */

export interface VolumeTraits {
  readonly readonly: boolean;
}

export type VolumesByName = ReadonlyMap<string, VolumeTraits>;

export function volumesByName(
  volumes: readonly { readonly name?: string; readonly readonly?: boolean | undefined }[] | undefined,
): VolumesByName {
  const table = new Map<string, VolumeTraits>();
  for (const { name, readonly } of volumes ?? []) {
    if (name !== undefined) table.set(name, { readonly: readonly ?? false });
  }
  return table;
}

export function volumeFolder(name: string): string {
  return `${VOLUMES}/${name}`;
}

/**
 * What to mount for a source as written: a volume's merged directory for its name, an absolute
 * path as it is. Throws {@link InvalidSetting} for a name that is none, and for a read-only
 * volume that the options would let a container write to.
 */
export function mountSource(source: string, options: readonly string[], volumes: VolumesByName): string {
  if (source.startsWith('/')) return source;
  const volume = volumes.get(source);
  if (volume === undefined) throw new InvalidSetting(`volume ${source} is not defined in volumes`);
  // The first of the two words decides, whatever other options stand beside it.
  const access = options.find((option) => option === 'ro' || option === 'rw');
  if (volume.readonly && access !== 'ro') {
    throw new InvalidSetting(`volume ${source} is read-only: mount it with the option ro`);
  }
  return `/${volumeFolder(source)}/merged`;
}

/**
 * A volume's directories, with those above. The machine lays an overlay of `tmp` over `lower`
 * at `merged`; it cannot do without `tmp` even where the volume is read-only.
 */
export function volumeEntries(name: string): readonly PlannedEntry[] {
  const folder = volumeFolder(name);
  const lower = `${folder}/lower`;
  return [...ancestors(lower), lower, `${folder}/tmp`, `${folder}/merged`].map((path) => directory(path));
}
