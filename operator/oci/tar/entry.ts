/** The kinds of file a layer may hold (OCI image-spec, layer.md, "File Types"). */
export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';

/** One entry of a tar archive, PAX records and GNU long names applied. Nothing in it has been judged safe. */
export interface TarHeader {
  /** As it stands in the archive: `./`, leading and trailing slashes and `..` included. */
  readonly path: string;
  readonly type: TarEntryType;
  /** Permission, setuid, setgid and sticky bits: `mode & 0o7777`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, possibly with a fraction, possibly negative. */
  readonly mtime: number;
  /** Bytes of the body; 0 for everything but files. */
  readonly size: number;
  /** Target of a symbolic or hard link as it stands in the archive, else empty. */
  readonly linkTarget: string;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Extended attributes by name, values as they are. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

/** An entry while it is being read. The body must be consumed before the next entry is asked for, or it is skipped. */
export interface TarEntry extends TarHeader {
  readonly body: AsyncIterable<Uint8Array>;
}

/** An entry whose body was left where it is. */
export interface IndexedTarEntry extends TarHeader {
  /** Where the body begins, in bytes from the beginning of the archive. */
  readonly offset: number;
}
