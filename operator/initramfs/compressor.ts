import type { Sink } from './archive.ts';
import { GzipCompressor } from './gzip.ts';
import { ZstdCompressor } from './zstd.ts';

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

/**
 * What, besides the input, determines the compressed bytes: part of a cached member's key.
 * Levels by measurement: see docs/performance.md. zstd stays below gzip's size.
 */
export const COMPRESSION_LEVEL = { gzip: 4, zstd: 3 } as const;

export function compressorName(compression: MemberCompression): string {
  const library = compression === 'zstd' ? process.versions['zstd'] : process.versions['zlib'];
  return `${compression}-${library ?? 'unknown'}-level${COMPRESSION_LEVEL[compression]}`;
}

export function createCompressor(
  compression: MemberCompression,
  options: { readonly size: number; readonly parallel: number; readonly sink: Sink },
): Compressor {
  const level = COMPRESSION_LEVEL[compression];
  switch (compression) {
    case 'gzip':
      return new GzipCompressor({ ...options, level });
    case 'zstd':
      return new ZstdCompressor({ ...options, level });
    default:
      return compression satisfies never;
  }
}
