import type { Spool } from './spool.ts';

/**
 * The file tree of an image, its layers applied. It is an index: names and metadata are in
 * memory, bodies stay in the spools of their layers. Nodes are made when they are asked for.
 */
export interface FileTree {
  /**
   * Every path once, each directory before what it holds, siblings in the order of their names.
   * The root itself is not among them.
   */
  nodes(): IteratorObject<FileNode>;
  /** What is at `path`, which is as a node has it: no symbolic link is followed. `hardLinkTo` is not told. */
  get(path: string): FileNode | undefined;
}

export type FileNode = RegularFileNode | DirectoryNode | SymlinkNode | SpecialNode;

interface NodeMetadata {
  /** Relative to the image's root: no leading or trailing slash, no empty, `.` or `..` component. */
  readonly path: string;
  /** `mode & 0o7777`, without the type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, possibly with a fraction. */
  readonly mtime: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** How many paths of the tree name this inode: 1 unless it has hard links. */
  readonly links: number;
  /** Set on each path of a hard-linked inode but the first in order: the path of the first. */
  readonly hardLinkTo?: string;
}

/** A file. Read its bytes with `spool.read(offset, size)`; paths of one inode share them. */
export interface RegularFileNode extends NodeMetadata {
  readonly type: 'file';
  readonly size: number;
  readonly body: BodyLocation;
}

export interface BodyLocation {
  readonly spool: Spool;
  readonly offset: number;
}

export interface DirectoryNode extends NodeMetadata {
  readonly type: 'directory';
  /** True when no layer has an entry for it and only something below it called for it: mode 0755, 0:0, mtime 0. */
  readonly implicit: boolean;
}

export interface SymlinkNode extends NodeMetadata {
  readonly type: 'symlink';
  /** As in the layer: may be absolute or lead nowhere. Never resolved on the building machine. */
  readonly target: string;
}

export interface SpecialNode extends NodeMetadata {
  readonly type: 'character' | 'block' | 'fifo';
  /** 0 for a fifo. */
  readonly devMajor: number;
  readonly devMinor: number;
}
