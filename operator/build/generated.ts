import type { Entry, FileContent } from '../initramfs/entry.ts';
import type { PlannedEntry, PlannedSourceFile } from '../linuxkit/entries.ts';
import type { IndexEntry } from './overlay.ts';

/** An entry that the build makes, and whether it gives way to a directory that exists. */
export interface GeneratedEntry {
  readonly entry: Entry;
  readonly implied: boolean;
}

/** A planned entry whose content is known, as an entry of the initrd. */
export function plannedEntry(planned: Exclude<PlannedEntry, PlannedSourceFile>): Entry {
  const { path, mode, uid, gid, mtime } = planned;
  const metadata = { path, mode, uid, gid, mtime };
  switch (planned.type) {
    case 'directory':
      return { ...metadata, type: 'directory' };
    case 'file':
      return fileEntry(metadata, Buffer.from(planned.contents));
    case 'symlink':
      return { ...metadata, type: 'symlink', target: planned.target };
    default:
      return planned satisfies never;
  }
}

/** Planned entries whose content is known; others have been read before. */
export function generatedEntries(planned: readonly PlannedEntry[]): readonly GeneratedEntry[] {
  return planned.flatMap((entry) =>
    entry.type === 'source'
      ? []
      : [{ entry: plannedEntry(entry), implied: entry.type === 'directory' && entry.implied }],
  );
}

/** A file with its bytes in memory. */
export function fileEntry(
  metadata: Pick<PlannedEntry, 'path' | 'mode' | 'uid' | 'gid' | 'mtime'>,
  bytes: Uint8Array,
): Entry & { readonly type: 'file' } {
  const { path, mode, uid, gid, mtime } = metadata;
  const content: FileContent = [bytes];
  return { type: 'file', path, mode, uid, gid, mtime, size: bytes.length, content };
}

/** Each path once: later entries replace earlier ones, but a directory that nobody asked for replaces nothing. */
export function mergeGenerated(entries: readonly GeneratedEntry[]): readonly GeneratedEntry[] {
  const byPath = new Map<string, GeneratedEntry>();
  for (const generated of entries) {
    const { path } = generated.entry;
    const present = byPath.get(path);
    if (generated.implied && present !== undefined) continue;
    byPath.set(path, generated);
  }
  return [...byPath.values()].sort((a, b) => (a.entry.path < b.entry.path ? -1 : 1));
}

export function generatedIndex(entries: readonly GeneratedEntry[]): readonly IndexEntry[] {
  return entries.map(({ entry, implied }): IndexEntry => {
    const { path, type } = entry;
    if (type === 'directory') return { path, type: implied ? 'implied' : 'directory' };
    if (type === 'symlink') return { path, type, target: entry.target };
    return { path, type: 'file' };
  });
}
