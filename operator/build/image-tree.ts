import type { Entry, FileContent } from '../initramfs/entry.ts';
import { BUILD_TIME } from '../linuxkit/constants.ts';
import { ancestors } from '../linuxkit/entries.ts';
import { addedEntries, type FlattenKind, flattenAction } from '../linuxkit/flatten-rules.ts';
import type { FileNode, FileTree, RegularFileNode } from '../oci/file-tree.ts';
import { plannedEntry } from './generated.ts';
import { type Adjustment, type IndexEntry, moved } from './overlay.ts';

/** Files of an image, ready to be written at their place in the initrd. */
export interface ImageTree {
  readonly entries: readonly Entry[];
  /** Paths of directories that are there only because something lies in them. */
  readonly implied: ReadonlySet<string>;
}

/** Where the kernel's own files lie; nothing below it gets into an initrd. */
export const BOOT = 'boot';

/** The image's files by LinuxKit's rules for its kind, below `place` (empty for the root). */
export function imageTree(tree: FileTree, kind: FlattenKind, place: string): ImageTree {
  const own = nodeEntries(tree, place, (path) => {
    const { action } = flattenAction(path);
    if (action === 'drop' || action === 'replace' || (place === '' && isBoot(path))) return 'drop';
    return action;
  });
  const has = { has: (path: string) => tree.get(path) !== undefined };
  const added = addedEntries(kind, has).flatMap((entry) =>
    entry.type === 'source' ? [] : [plannedEntry(entry)],
  );
  return { entries: own.entries.concat(moveBelow(place, added)), implied: own.implied };
}

/** All files of a tree as they are: kernel modules. */
export function plainTree(tree: FileTree): ImageTree {
  return nodeEntries(tree, '', (path) => (isBoot(path) ? 'drop' : 'keep'));
}

function isBoot(path: string): boolean {
  return path === BOOT || path.startsWith(`${BOOT}/`);
}

/** The nodes that stay, at their place: each becomes one object, since there are tens of thousands of them. */
function nodeEntries(
  tree: FileTree,
  place: string,
  actionOf: (path: string) => 'keep' | 'touch' | 'drop',
): { readonly entries: Entry[]; readonly implied: ReadonlySet<string> } {
  const entries = foldersTo(place);
  const prefix = place === '' ? '' : `${place}/`;
  const implied = new Set<string>();
  /** By the first path of a file in the image, the first that is left of it. */
  const firsts = new Map<string, string>();
  for (const node of tree.nodes()) {
    const action = actionOf(node.path);
    if (action === 'drop') continue;
    const path = prefix + node.path;
    if (node.type === 'directory' && node.implicit) implied.add(path);
    if (node.type === 'file' && node.links > 1) {
      const inode = node.hardLinkTo ?? node.path;
      const first = firsts.get(inode);
      if (first !== undefined) {
        entries.push({ type: 'link', path, target: first });
        continue;
      }
      firsts.set(inode, path);
    }
    entries.push(nodeEntry(node, path, action === 'touch' ? BUILD_TIME : node.mtime));
  }
  return { entries, implied };
}

function nodeEntry(node: FileNode, path: string, mtime: number): Entry {
  const entry = bareEntry(node, path, mtime);
  return node.xattrs === undefined ? entry : { ...entry, xattrs: node.xattrs };
}

/** Each written out: an object that another one is spread into takes twice the room. */
function bareEntry(node: FileNode, path: string, mtime: number): Exclude<Entry, { type: 'link' }> {
  const { type, mode, uid, gid } = node;
  switch (type) {
    case 'file':
      return { type, path, mode, uid, gid, mtime, size: node.size, content: nodeContent(node) };
    case 'directory':
    case 'fifo':
      return { type, path, mode, uid, gid, mtime };
    case 'symlink':
      return { type, path, mode, uid, gid, mtime, target: node.target };
    case 'character':
    case 'block':
      return { type, path, mode, uid, gid, mtime, major: node.devMajor, minor: node.devMinor };
    default:
      return node satisfies never;
  }
}

/** Where an entry finds the bytes of a file of an image. */
function nodeContent(node: RegularFileNode): FileContent {
  return { descriptor: node.body.spool.descriptor, offset: node.body.offset };
}

/** The bytes of a file of an image. */
export function nodeBytes({ body, size }: RegularFileNode): AsyncIterable<Uint8Array> {
  return body.spool.read(body.offset, size);
}

/** Entries below a folder, with the folders on the way. */
export function below(place: string, entries: readonly Entry[]): readonly Entry[] {
  return [...foldersTo(place), ...moveBelow(place, entries)];
}

function foldersTo(place: string): Entry[] {
  return place === '' ? [] : [...ancestors(place), place].map(plainFolder);
}

function moveBelow(place: string, entries: readonly Entry[]): readonly Entry[] {
  if (place === '') return entries;
  return entries.map((entry): Entry => {
    const path = `${place}/${entry.path}`;
    return entry.type === 'link'
      ? { ...entry, path, target: `${place}/${entry.target}` }
      : { ...entry, path };
  });
}

function plainFolder(path: string): Entry {
  return { type: 'directory', path, mode: 0o755, uid: 0, gid: 0, mtime: BUILD_TIME };
}

/** What other trees need to know of this one. */
export function indexOf(tree: ImageTree): readonly IndexEntry[] {
  return tree.entries.map((entry): IndexEntry => {
    const { path } = entry;
    switch (entry.type) {
      case 'directory':
        return { path, type: tree.implied.has(path) ? 'implied' : 'directory' };
      case 'symlink':
        return { path, type: 'symlink', target: entry.target };
      case 'file':
      case 'link':
        return { path, type: 'file' };
      case 'character':
      case 'block':
      case 'fifo':
        return { path, type: 'special' };
      default:
        return entry satisfies never;
    }
  });
}

/** The entries that are left of a tree, where they go. A hard link whose first name is gone becomes the file. */
export function adjust(entries: readonly Entry[], adjustment: Adjustment): readonly Entry[] {
  const { moves: renames, added } = adjustment;
  if (renames.length === 0 && adjustment.removed.length === 0 && added.length === 0) return entries;
  const moves = new Map(renames.map(({ from, to }) => [from, to]));
  const removed = new Set(adjustment.removed);
  const originals = new Map(entries.map((entry) => [entry.path, entry]));
  const firsts = new Map<string, string>();
  const result = new Map<string, Entry>();
  for (const entry of entries) {
    const path = moved(entry.path, moves);
    if (removed.has(path)) continue;
    // Of two directories that have become one, that which was there keeps its metadata.
    if (path !== entry.path && entry.type === 'directory' && originals.get(path)?.type === 'directory')
      continue;
    const inode = entry.type === 'link' ? entry.target : entry.path;
    const first = entry.type === 'link' ? firsts.get(inode) : undefined;
    if (first !== undefined) {
      result.set(path, { type: 'link', path, target: first });
      continue;
    }
    const whole = entry.type === 'link' ? originals.get(entry.target) : entry;
    if (whole === undefined) throw new Error(`hard link ${entry.path} has lost its target`);
    firsts.set(inode, path);
    result.set(path, { ...whole, path });
  }
  return [...added.map(plainFolder), ...result.values()];
}
