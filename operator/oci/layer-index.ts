import type { Spool } from './spool.ts';
import type { IndexedTarEntry } from './tar/entry.ts';
import type { Digest } from './types.ts';

/** A layer that was pulled, verified and uncompressed once: its archive in a spool, its entries in memory. */
export interface IndexedLayer {
  /** Digest of the blob. */
  readonly digest: Digest;
  /** Digest of the uncompressed archive. */
  readonly diffId: Digest;
  readonly entries: readonly IndexedTarEntry[];
  readonly spool: Spool;
}
