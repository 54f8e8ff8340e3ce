import type { Sink } from './archive.ts';
import { GzipCompressor } from './gzip.ts';
import { createZstdCompressor } from './zstd.ts';

/** Compressions that the kernel's unpacker knows and the engine writes. */
export type MemberCompression = 'gzip' | 'zstd';

/** Compresses one stream. Neither method may be called before the other's promise has settled. */
export interface Compressor {
  /** The bytes may be used again when the promise settles. */
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
  /** Gives up what an unfinished stream holds. Does nothing after {@link end}. */
  destroy(): void;
}

/** By measurement, see docs/performance.md: the fastest, and zstd well below gzip's size. */
const LEVEL = { gzip: 1, zstd: 1 } as const;

/** What, besides the input, determines the compressed bytes: part of a cached member's key. */
export function compressorName(compression: MemberCompression): string {
  const library = compression === 'zstd' ? process.versions['zstd'] : process.versions['zlib'];
  return `${compression}-${library ?? 'unknown'}-level${LEVEL[compression]}`;
}

/** A compressor for `size` bytes, which is recorded where the format has a place for it. */
export function createCompressor(
  compression: MemberCompression,
  options: { readonly size: number; readonly sink: Sink },
): Compressor {
  const level = LEVEL[compression];
  switch (compression) {
    case 'gzip':
      return new GzipCompressor({ level, sink: options.sink });
    case 'zstd':
      return createZstdCompressor({ level, ...options });
    default:
      return compression satisfies never;
  }
}
