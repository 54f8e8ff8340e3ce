/** Owner, permissions and time of an entry. */
export interface Metadata {
  /** Permission bits, 0 to 0o7777; the type is the entry's own. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. The format holds whole seconds from 1970 to 2106; others are moved to the nearest of those. */
  readonly mtime: number;
  /** Extended attributes by name. The format has no place for them: they reach tar archives alone. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

/** The bytes of a regular file: in memory or coming from somewhere, all of them at every iteration, or in an open file. */
export type FileContent = AsyncIterable<Uint8Array> | Iterable<Uint8Array> | FileRange;

/** Part of an open file, as long as the entry is. Plain data: a worker can be given it. */
export interface FileRange {
  readonly descriptor: number;
  /** Where the entry's first byte is. */
  readonly offset: number;
}

interface Named {
  /** Relative to the root, `/`-separated, without `.`, `..` or empty parts. */
  readonly path: string;
}

export interface DirectoryEntry extends Named, Metadata {
  readonly type: 'directory';
}

export interface FileEntry extends Named, Metadata {
  readonly type: 'file';
  /** Bytes. */
  readonly size: number;
  readonly content: FileContent;
}

/** One more name of the entry at `target`, which must be in the same member. */
export interface LinkEntry extends Named {
  readonly type: 'link';
  readonly target: string;
}

export interface SymlinkEntry extends Named, Metadata {
  readonly type: 'symlink';
  readonly target: string;
}

export interface DeviceEntry extends Named, Metadata {
  readonly type: 'character' | 'block';
  readonly major: number;
  readonly minor: number;
}

export interface FifoEntry extends Named, Metadata {
  readonly type: 'fifo';
}

/** Whatever an initramfs can hold. */
export type Entry = DirectoryEntry | FileEntry | LinkEntry | SymlinkEntry | DeviceEntry | FifoEntry;

/** The folder that holds `path`, or undefined at the root. */
export function parentOf(path: string): string | undefined {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? undefined : path.slice(0, slash);
}
