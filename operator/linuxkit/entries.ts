import { BUILD_TIME } from './constants.ts';

/**
 * Entries of the root file system that a build makes itself, rather than copying them from
 * an image. Paths are relative to the root, without leading or trailing slash.
 */
export type PlannedEntry = PlannedDirectory | PlannedFile | PlannedSourceFile | PlannedSymlink;

interface EntryMetadata {
  readonly path: string;
  /** Permission bits, at most 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly mtime: number;
}

export interface PlannedDirectory extends EntryMetadata {
  readonly type: 'directory';
  /**
   * True when nobody asked for this directory and only an entry below it called for it. Where the
   * directory exists already, or a link that leads to one, the entry is left out: it would
   * change the permissions of, say, `etc`.
   */
  readonly implied: boolean;
}

export interface PlannedFile extends EntryMetadata {
  readonly type: 'file';
  /** The file's text, to be written as UTF-8. */
  readonly contents: string;
}

/** A file whose bytes are on the machine that builds. Only from the command line. */
export interface PlannedSourceFile extends EntryMetadata {
  readonly type: 'source';
  /** As written: relative to the working directory, or to the home directory after `~/`. */
  readonly source: string;
  /** Leave the entry out where the source does not exist. */
  readonly optional: boolean;
}

export interface PlannedSymlink extends EntryMetadata {
  readonly type: 'symlink';
  readonly target: string;
}

export function directory(path: string, mode = 0o755, implied = false): PlannedDirectory {
  return { type: 'directory', path, mode, uid: 0, gid: 0, mtime: BUILD_TIME, implied };
}

export function file(path: string, contents: string): PlannedFile {
  return { type: 'file', path, mode: 0o644, uid: 0, gid: 0, mtime: BUILD_TIME, contents };
}

/** The directories above a path, outermost first: `a`, `a/b` for `a/b/c`. */
export function ancestors(path: string): readonly string[] {
  const segments = path.split('/');
  return segments.slice(1).map((_, index) => segments.slice(0, index + 1).join('/'));
}
