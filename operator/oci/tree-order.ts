import { limitExceeded } from './errors.ts';
import type { FileNode, FileTree } from './file-tree.ts';
import type { Spool } from './spool.ts';
import type { IndexedTarEntry } from './tar/entry.ts';

export interface FlattenLimits {
  /** Files and directories of an image. */
  readonly maxTreeNodes: number;
  /** Characters of all paths together. */
  readonly maxTreePathLength: number;
}

export const FLATTEN_LIMITS: FlattenLimits = { maxTreeNodes: 1_000_000, maxTreePathLength: 128 << 20 };

/** Characters of one path, as on Linux (PATH_MAX). */
const MAX_PATH_LENGTH = 4095;

/** A path of the tree. Hard links are places that share an inode. */
export interface Place {
  readonly name: string;
  /** The root is its own parent. */
  readonly parent: Place;
  readonly inode: Inode;
  /** Directories only. */
  readonly children?: Map<string, Place>;
}

export interface Inode {
  /** Undefined for a directory that no entry made. */
  entry: IndexedTarEntry | undefined;
  readonly spool: Spool | undefined;
  /** Places that share it, once the tree is finished. */
  links: number;
}

/** A finished tree: parents first, siblings by name, each inode's first path before its other ones. */
export class OrderedTree implements FileTree {
  readonly #root: Place;

  /** Throws `LimitExceeded`, with `where`. */
  constructor(root: Place, limits: FlattenLimits, where: string) {
    this.#root = root;
    countLinks(root, limits, where);
  }

  *nodes(): Generator<FileNode, void, undefined> {
    /** First paths of inodes that have several. */
    const firsts = new Map<Inode, string>();
    const pending = inReverse(this.#root, '');
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { path, place } = next;
      const first = place.inode.links > 1 ? firsts.get(place.inode) : undefined;
      if (place.inode.links > 1 && first === undefined) firsts.set(place.inode, path);
      yield toNode(path, place.inode, first);
      if (place.children !== undefined) for (const child of inReverse(place, `${path}/`)) pending.push(child);
    }
  }

  get(path: string): FileNode | undefined {
    let place: Place | undefined = this.#root;
    for (const name of path.split('/')) place = place?.children?.get(name);
    return place && toNode(path, place.inode, undefined);
  }
}

interface Located {
  readonly path: string;
  readonly place: Place;
}

function inReverse({ children }: Place, prefix: string): Located[] {
  const sorted = [...(children?.values() ?? [])].sort((a, b) => (a.name < b.name ? 1 : -1));
  return sorted.map((place) => ({ path: prefix + place.name, place }));
}

function countLinks(root: Place, limits: FlattenLimits, where: string): void {
  const pending: { readonly place: Place; readonly length: number }[] = [{ place: root, length: 0 }];
  let total = 0;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const place of next.place.children?.values() ?? []) {
      const length = next.length + place.name.length;
      // Links can join paths that are allowed to ones that are not.
      if (length > MAX_PATH_LENGTH) throw limitExceeded('MAX_PATH_LENGTH', MAX_PATH_LENGTH, where);
      total += length;
      if (total > limits.maxTreePathLength)
        throw limitExceeded('maxTreePathLength', limits.maxTreePathLength, where);
      place.inode.links += 1;
      if (place.children !== undefined) pending.push({ place, length: length + 1 });
    }
  }
}

function toNode(path: string, { entry, spool, links }: Inode, hardLinkTo: string | undefined): FileNode {
  if (entry === undefined) {
    return { type: 'directory', path, mode: 0o755, uid: 0, gid: 0, mtime: 0, links, implicit: true };
  }
  const { mode, uid, gid, mtime, xattrs } = entry;
  const metadata = {
    path,
    mode,
    uid,
    gid,
    mtime,
    links,
    ...(xattrs !== undefined && { xattrs }),
    ...(hardLinkTo !== undefined && { hardLinkTo }),
  };
  switch (entry.type) {
    case 'file':
      if (spool === undefined) throw new Error(`${path}: a file without a spool`);
      return { ...metadata, type: 'file', size: entry.size, body: { spool, offset: entry.offset } };
    case 'directory':
      return { ...metadata, type: 'directory', implicit: false };
    case 'symlink':
      return { ...metadata, type: 'symlink', target: entry.linkTarget };
    case 'character':
    case 'block':
    case 'fifo':
      return { ...metadata, type: entry.type, devMajor: entry.devMajor, devMinor: entry.devMinor };
    case 'hardlink':
      break;
  }
  throw new Error(`${path}: the inode of a hard link is its target's`);
}
