import { BUILD_TIME } from './constants.ts';
import { ancestors, type PlannedEntry } from './entries.ts';
import { containerIds, numericId } from './ids.ts';
import { metadataText } from './metadata.ts';
import type { FileSpec, LinuxKitConfig } from './schema.ts';

/** The `files` of a configuration, in order, with the directories that they call for. */

/** Paths are normalised: no empty or `.` segments. Those with `..` were refused by the schema. */
export function planFiles(config: LinuxKitConfig): readonly PlannedEntry[] {
  const ids = containerIds(config);
  const emitted = new Set<string>();
  return (config.files ?? []).flatMap((spec) => {
    const path = normalise(spec.path);
    const mode =
      spec.mode === undefined || spec.mode === '' ? defaultMode(spec) : Number.parseInt(spec.mode, 8);
    const metadata = { uid: numericId(spec.uid, ids), gid: numericId(spec.gid, ids), mtime: BUILD_TIME };
    const implied = ancestors(path).filter((folder) => !emitted.has(folder));
    for (const name of [...implied, path]) emitted.add(name);
    return [
      ...implied.map(
        (folder): PlannedEntry => ({
          type: 'directory',
          path: folder,
          mode: directoryMode(mode),
          ...metadata,
          implied: true,
        }),
      ),
      fileEntry(spec, { path, mode, ...metadata }, config),
    ];
  });
}

/** By path, the number of the entry of `files` that it comes of: the last that names it, or else the first that calls for it. */
export function fileOrigins(config: LinuxKitConfig): ReadonlyMap<string, number> {
  const origins = new Map<string, number>();
  for (const [index, spec] of (config.files ?? []).entries()) {
    const path = normalise(spec.path);
    for (const folder of ancestors(path)) if (!origins.has(folder)) origins.set(folder, index);
    origins.set(path, index);
  }
  return origins;
}

function normalise(path: string): string {
  return path
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.')
    .join('/');
}

function defaultMode(spec: FileSpec): number {
  return spec.directory === true ? 0o700 : 0o600;
}

/** A class of users that may do anything with the file may also search the directories that lead to it. */
function directoryMode(mode: number): number {
  return [0o700, 0o070, 0o007].reduce((bits, mask) => (mode & mask ? bits | (mask & 0o111) : bits), mode);
}

type Metadata = Pick<PlannedEntry, 'path' | 'mode' | 'uid' | 'gid' | 'mtime'>;

function fileEntry(spec: FileSpec, metadata: Metadata, config: LinuxKitConfig): PlannedEntry {
  if (spec.directory === true) return { type: 'directory', ...metadata, implied: false };
  if (spec.symlink !== undefined && spec.symlink !== '') {
    return { type: 'symlink', ...metadata, target: spec.symlink };
  }
  if (spec.source !== undefined && spec.source !== '') {
    return { type: 'source', ...metadata, source: spec.source, optional: spec.optional ?? false };
  }
  const contents = spec.metadata === undefined ? (spec.contents ?? '') : metadataText(config, spec.metadata);
  return { type: 'file', ...metadata, contents };
}
