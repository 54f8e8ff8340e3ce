import type { Entry, FileEntry, Metadata } from './entry.ts';
import { parentOf } from './entry.ts';
import { InitramfsError, shown } from './error.ts';
import { MAX_FILE_SIZE, MAX_MAJOR, MAX_MINOR, MAX_NAME, MAX_OWNER, MAX_PATH, TRAILER } from './newc.ts';

/** An entry ready to be written: hard links are groups of files that share an inode. */
export type ArrangedEntry = Exclude<Entry, { type: 'link' }> & {
  /** Of files with several names alone: the others are the entries that were given, not copies of them. */
  readonly hardLink?: HardLink;
};

export interface HardLink {
  /** Position of the inode's first name in the arranged list. */
  readonly first: number;
  /** How many names the inode has. */
  readonly names: number;
}

/** The largest values that an archive can hold: `file` in bytes, `owner` for users and groups. */
export interface ArchiveBounds {
  readonly file: number;
  readonly owner: number;
}

const INITRAMFS: ArchiveBounds = { file: MAX_FILE_SIZE, owner: MAX_OWNER };

/**
 * Puts the entries of one member in the order in which they are written, parents first and the
 * same for the same tree, and refuses everything that the kernel's unpacker would drop or
 * misread without a word: the error names the entry. `outside` tells whether a folder exists
 * in an earlier member of the same initramfs.
 */
export function arrange(
  entries: readonly Entry[],
  outside: (path: string) => boolean = () => false,
  bounds: ArchiveBounds = INITRAMFS,
): readonly ArrangedEntry[] {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const directories = new Set<string>();
  let before: Entry | undefined;
  for (const entry of sorted) {
    checkPath(entry.path);
    if (entry.path === before?.path) {
      throw new InitramfsError('DuplicatePath', `${shown(entry.path)} appears twice in one member`);
    }
    const parent = parentOf(entry.path);
    if (parent !== undefined && !directories.has(parent)) checkParent(entry.path, parent, sorted, outside);
    if (entry.type === 'directory') directories.add(entry.path);
    if (entry.type !== 'link') checkFields(entry, bounds);
    before = entry;
  }
  return resolveLinks(sorted);
}

/** The entry at `path` in a list that is sorted by path. */
function find(sorted: readonly Entry[], path: string): Entry | undefined {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle]?.path ?? '') < path) low = middle + 1;
    else high = middle;
  }
  return sorted[low]?.path === path ? sorted[low] : undefined;
}

function checkPath(path: string): void {
  if (path === TRAILER) {
    throw new InitramfsError(
      'InvalidPath',
      `${shown(path)} is the name that ends an archive; no file can have it`,
    );
  }
  if (path.includes('\0')) throw new InitramfsError('InvalidPath', `${shown(path)} contains a NUL`);
  if (Buffer.byteLength(path) > MAX_PATH) {
    throw new InitramfsError('InvalidPath', `${shown(path)} is longer than ${MAX_PATH} bytes`);
  }
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part === '..') {
      throw new InitramfsError('InvalidPath', `${shown(path)} is not a plain relative path`);
    }
    if (part.length * 3 > MAX_NAME && Buffer.byteLength(part) > MAX_NAME) {
      throw new InitramfsError('InvalidPath', `${shown(path)} has a part longer than ${MAX_NAME} bytes`);
    }
  }
}

/** Of an entry whose folder is no directory of the same list. */
function checkParent(
  path: string,
  parent: string,
  sorted: readonly Entry[],
  outside: (path: string) => boolean,
): void {
  const entry = find(sorted, parent);
  if (entry === undefined && outside(parent)) return;
  const why = entry === undefined ? 'has no entry of its own' : `is a ${entry.type}, not a directory`;
  throw new InitramfsError(
    'MissingParent',
    `${shown(path)} would be lost: its folder ${shown(parent)} ${why}`,
  );
}

function checkFields(entry: Exclude<Entry, { type: 'link' }>, bounds: ArchiveBounds): void {
  const { path } = entry;
  checkNumber(path, 'mode', entry.mode, 0o7777);
  checkNumber(path, 'uid', entry.uid, bounds.owner);
  checkNumber(path, 'gid', entry.gid, bounds.owner);
  switch (entry.type) {
    case 'file':
      checkNumber(path, 'size', entry.size, bounds.file);
      return;
    case 'symlink': {
      const length = Buffer.byteLength(entry.target);
      if (length === 0 || length > MAX_PATH || entry.target.includes('\0')) {
        throw new InitramfsError(
          'Unrepresentable',
          `symlink ${shown(path)} has a target of ${length} bytes; 1 to ${MAX_PATH} without NUL are possible`,
        );
      }
      return;
    }
    case 'character':
    case 'block':
      checkNumber(path, 'device major', entry.major, MAX_MAJOR);
      checkNumber(path, 'device minor', entry.minor, MAX_MINOR);
      return;
    case 'directory':
    case 'fifo':
      return;
    default:
      entry satisfies never;
  }
}

function checkNumber(path: string, what: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw new InitramfsError(
    'Unrepresentable',
    `${shown(path)} has ${what} ${value}; the archive can hold 0 to ${max}`,
  );
}

function resolveLinks(sorted: readonly Entry[]): readonly ArrangedEntry[] {
  const targets = new Map<string, Exclude<Entry, { type: 'link' }>>();
  const names = new Map<FileEntry, number>();
  for (const entry of sorted) {
    if (entry.type !== 'link') continue;
    const target = linkTarget(entry.path, sorted);
    targets.set(entry.path, target);
    if (target.type === 'file') names.set(target, (names.get(target) ?? 1) + 1);
  }
  const first = new Map<FileEntry, number>();
  return sorted.map((entry, index) => {
    const whole = entry.type === 'link' ? targets.get(entry.path) : entry;
    if (whole === undefined) throw new InitramfsError('InvalidLink', `${shown(entry.path)} links to nothing`);
    const count = whole.type === 'file' ? names.get(whole) : undefined;
    if (whole.type !== 'file' || count === undefined)
      return whole === entry ? whole : { ...whole, path: entry.path };
    const inode = first.get(whole) ?? index;
    first.set(whole, inode);
    return { ...whole, path: entry.path, hardLink: { first: inode, names: count } };
  });
}

/** Follows hard links to what they name. Another name of anything but a file becomes a copy of it. */
function linkTarget(path: string, sorted: readonly Entry[]): Exclude<Entry, { type: 'link' }> {
  const visited = new Set<string>();
  for (let at = path; ; ) {
    if (visited.has(at))
      throw new InitramfsError('InvalidLink', `hard link ${shown(path)} leads back to itself`);
    visited.add(at);
    const entry = find(sorted, at);
    if (entry === undefined) {
      throw new InitramfsError(
        'InvalidLink',
        `hard link ${shown(path)} names ${shown(at)}, which is not there`,
      );
    }
    if (entry.type === 'directory') {
      throw new InitramfsError('InvalidLink', `hard link ${shown(path)} names the directory ${shown(at)}`);
    }
    if (entry.type !== 'link') return entry;
    at = entry.target;
  }
}

/** The nearest time that the format can hold, in whole seconds. */
export function representableTime(mtime: Metadata['mtime']): number {
  return Math.min(Math.max(Math.floor(mtime), 0), 0xffff_ffff);
}
