import type { Readable } from 'node:stream';
import { CodedError } from '../errors.ts';

/** What is known of a stored object without reading it. `size` in bytes, `sha256` as 64 hex digits. */
export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  /** Absent when the store kept no checksum; such an object is never trusted for its name alone. */
  readonly sha256?: string;
  readonly modified?: Date;
}

/** Bytes to store. `open` may be called again when a transfer is retried. */
export interface ObjectSource {
  readonly size: number;
  readonly sha256: string;
  open(): Readable;
  /**
   * Path of a file that holds these bytes, summed already, and that nobody changes or hands out: a store
   * whose objects are files may make it another name instead of a copy, and then verifies nothing.
   */
  readonly linkable?: string;
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** First and last byte, both inclusive, as in RFC 9110 section 14.1.2. */
  readonly range?: { readonly first: number; readonly last: number };
}

/** The file that an object is. */
export interface LocalFile {
  readonly path: string;
  /** Of its bytes, as 64 hex digits, if the file was not touched since it was summed. Otherwise whoever reads it has to. */
  readonly sha256?: string;
  /** Tells the store the sum of the file's bytes, so that the next reader need not take it. */
  confirm(sha256: string): Promise<void>;
}

/**
 * Object storage as the product sees it. Keys are `/`-separated, relative to the bucket (or
 * to the namespace's prefix, for the store a build pod sees), without leading slash, `.` or `..`.
 */
export interface ObjectReader {
  head(key: string, options: { readonly signal: AbortSignal }): Promise<ObjectInfo | undefined>;
  /** Throws {@link StorageError} `ObjectNotFound`. The caller owns the stream: it must consume or destroy it. */
  get(key: string, options: ReadOptions): Promise<{ readonly info: ObjectInfo; readonly body: Readable }>;
  /**
   * The object's own file, from stores whose objects are files on this machine; undefined when it is not
   * there. For reading alone.
   */
  localFile?(key: string): Promise<LocalFile | undefined>;
}

export interface ObjectWriter {
  /**
   * Stores the bytes unless the key is taken. `created`: stored now. `exists`: the same bytes were
   * there. Throws `ObjectConflict` when other bytes hold the key, `ChecksumMismatch` when the source
   * delivered other bytes than announced (nothing is stored then).
   */
  put(
    key: string,
    source: ObjectSource,
    options: { readonly signal: AbortSignal },
  ): Promise<'created' | 'exists'>;
}

export interface ObjectStore extends ObjectReader, ObjectWriter {
  list(prefix: string, options: { readonly signal: AbortSignal }): AsyncIterable<ObjectInfo>;
  /** Removing what is not there is no error. */
  delete(keys: readonly string[], options: { readonly signal: AbortSignal }): Promise<void>;
}

export type StorageErrorCode =
  | 'ObjectNotFound'
  | 'ObjectConflict'
  | 'ChecksumMismatch'
  | 'StorageUnavailable'
  | 'StorageDenied'
  | 'InvalidKey'
  /** `build.json` is not the record of the artifact it lies with. */
  | 'InvalidRecord';

export class StorageError extends CodedError<StorageErrorCode> {}
