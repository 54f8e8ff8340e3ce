import { parentOf } from './entry.ts';
import { FILE_TYPE, FILE_TYPE_MASK, MAX_PATH, TRAILER } from './newc.ts';
import type { ReadEntry } from './reader.ts';

/** What a path is after the kernel has unpacked everything. Names of one inode share the object. */
export interface UnpackedNode {
  type: 'directory' | 'file' | 'symlink' | 'character' | 'block' | 'fifo' | 'other';
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  /** A file's bytes or a symlink's target. */
  data: Buffer;
  major: number;
  minor: number;
}

export interface UnpackedTree {
  readonly nodes: ReadonlyMap<string, UnpackedNode>;
  /** Entries that the kernel drops without a word, with the reason. An initramfs of ours has none. */
  readonly lost: readonly { readonly path: string; readonly reason: string }[];
}

/** mknod(2) fails where a file of the same type is: the old one stays. */
const UNREPLACED: ReadonlySet<UnpackedNode['type']> = new Set(['character', 'block', 'fifo']);

/**
 * Unpacks as the kernel's init/initramfs.c does, rules and silences included: a missing parent
 * loses the entry, another type replaces what is there unless that is a folder with something in it,
 * a file over a file writes into the same inode, hard links hold from trailer to trailer. Symlinks
 * among a path's folders are not followed: such an entry counts as lost.
 */
export function unpack(entries: Iterable<ReadEntry>): UnpackedTree {
  const nodes = new Map<string, UnpackedNode>();
  const children = new Map<string, number>();
  const lost: { path: string; reason: string }[] = [];
  const links = new Map<string, UnpackedNode>();

  const remove = (path: string): void => {
    nodes.delete(path);
    countChild(children, path, -1);
  };
  for (const entry of entries) {
    if (entry.path === TRAILER) {
      links.clear();
      continue;
    }
    const node = nodeOf(entry);
    const reason = refusal(entry, node, nodes, children);
    if (reason !== undefined) {
      lost.push({ path: entry.path, reason });
      continue;
    }
    const present = nodes.get(entry.path);
    const key = `${entry.header.ino}:${entry.header.devmajor}:${entry.header.devminor}`;
    const linked = node.type === 'file' && entry.header.nlink >= 2 ? links.get(key) : undefined;
    if (
      present !== undefined &&
      (present.type !== node.type || linked !== undefined || node.type === 'symlink')
    ) {
      remove(entry.path);
    }
    const inode = linked ?? nodes.get(entry.path);
    if (inode === undefined) {
      nodes.set(entry.path, node);
      countChild(children, entry.path, 1);
      if (node.type === 'file' && entry.header.nlink >= 2) links.set(key, node);
      continue;
    }
    const data = linked !== undefined && node.data.length === 0 ? inode.data : node.data;
    Object.assign(inode, node, { data });
    if (!nodes.has(entry.path)) {
      nodes.set(entry.path, inode);
      countChild(children, entry.path, 1);
    }
  }
  return { nodes, lost };
}

function countChild(children: Map<string, number>, path: string, by: number): void {
  const parent = parentOf(path);
  if (parent !== undefined) children.set(parent, (children.get(parent) ?? 0) + by);
}

function refusal(
  entry: ReadEntry,
  node: UnpackedNode,
  nodes: ReadonlyMap<string, UnpackedNode>,
  children: ReadonlyMap<string, number>,
): string | undefined {
  if (entry.header.namesize > MAX_PATH + 1) return 'the name is too long';
  const parent = parentOf(entry.path);
  if (parent !== undefined && nodes.get(parent)?.type !== 'directory') return 'its folder is not there';
  if (node.type === 'symlink' && node.data.length === 0) return 'the target is empty';
  const present = nodes.get(entry.path);
  if (present?.type === 'directory' && node.type !== 'directory' && (children.get(entry.path) ?? 0) > 0) {
    return 'a folder with something in it is there';
  }
  if (present?.type === node.type && UNREPLACED.has(node.type)) return 'one of its type is there already';
  return undefined;
}

function nodeOf({ header, data }: ReadEntry): UnpackedNode {
  const bits = header.mode & FILE_TYPE_MASK;
  const known = (Object.keys(FILE_TYPE) as (keyof typeof FILE_TYPE)[]).find(
    (name) => FILE_TYPE[name] === bits,
  );
  return {
    type: known ?? 'other',
    mode: header.mode & 0o7777,
    uid: header.uid,
    gid: header.gid,
    mtime: header.mtime,
    data,
    major: header.rdevmajor,
    minor: header.rdevminor,
  };
}
