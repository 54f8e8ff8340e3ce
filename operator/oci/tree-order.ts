import { limitExceeded } from './errors.ts';
import type { DirectoryNode, FileNode, FileTree } from './file-tree.ts';
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
}

/** Lists a finished tree: parents first, siblings by name, each inode's first path before its other ones. */
export function orderTree(root: Place, limits: FlattenLimits, where: string): FileTree {
  const places = inOrder(root, limits, where);
  const inodes = new Map<Inode, { readonly first: string; links: number }>();
  for (const { path, place } of places) {
    const known = inodes.get(place.inode);
    if (known === undefined) inodes.set(place.inode, { first: path, links: 1 });
    else known.links++;
  }
  const nodes = places.map(({ path, place }) => {
    const { first, links } = inodes.get(place.inode) ?? { first: path, links: 1 };
    return toNode(path, place.inode, links, first === path ? undefined : first);
  });
  const top = root.inode.entry === undefined ? undefined : toNode('', root.inode, 1, undefined);
  return new Tree(nodes, top?.type === 'directory' ? top : undefined);
}

function inOrder(
  root: Place,
  limits: FlattenLimits,
  where: string,
): readonly { readonly path: string; readonly place: Place }[] {
  const places: { readonly path: string; readonly place: Place }[] = [];
  const pending: { readonly path: string; readonly place: Place }[] = [];
  const expand = (prefix: string, children: ReadonlyMap<string, Place>): void => {
    const sorted = [...children.values()].sort((a, b) => (a.name < b.name ? 1 : -1));
    for (const place of sorted) pending.push({ path: prefix + place.name, place });
  };
  let total = 0;
  expand('', root.children ?? new Map());
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    // Links can join paths that are allowed to ones that are not.
    if (next.path.length > MAX_PATH_LENGTH) throw limitExceeded('MAX_PATH_LENGTH', MAX_PATH_LENGTH, where);
    total += next.path.length;
    if (total > limits.maxTreePathLength) {
      throw limitExceeded('maxTreePathLength', limits.maxTreePathLength, where);
    }
    places.push(next);
    if (next.place.children !== undefined) expand(`${next.path}/`, next.place.children);
  }
  return places;
}

class Tree implements FileTree {
  readonly nodes: readonly FileNode[];
  readonly root?: DirectoryNode;
  #byPath: ReadonlyMap<string, FileNode> | undefined;

  constructor(nodes: readonly FileNode[], root: DirectoryNode | undefined) {
    this.nodes = nodes;
    if (root !== undefined) this.root = root;
  }

  get(path: string): FileNode | undefined {
    this.#byPath ??= new Map(this.nodes.map((node) => [node.path, node]));
    return this.#byPath.get(path);
  }
}

function toNode(
  path: string,
  { entry, spool }: Inode,
  links: number,
  hardLinkTo: string | undefined,
): FileNode {
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
