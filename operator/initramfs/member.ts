import { createHash } from 'node:crypto';
import type { EntryRun, MemberDevice, Sink } from './archive.ts';
import { archiveSize, writeArchive } from './archive.ts';
import type { MemberCompression } from './compressor.ts';
import { createCompressor } from './compressor.ts';

/** Size in bytes and SHA-256 as 64 hex digits of a run of bytes. */
export interface ByteSum {
  readonly size: number;
  readonly sha256: string;
}

/** A finished member: the compressed bytes, and the archive that they hold. */
export interface MemberSum {
  readonly stored: ByteSum;
  readonly archive: ByteSum;
}

/** A number of its own for the member at `place`; the same in every build, so that members can be cached. */
export function deviceOf(place: string): MemberDevice {
  const digest = createHash('sha256').update(place).digest();
  return { major: digest.readUInt32BE(0), minor: digest.readUInt32BE(4) };
}

/**
 * Writes a run of entries as one compressed member of an initramfs: a gzip stream or a zstd frame that
 * ends where an entry ends, as the kernel demands. Held are a few chunks, and by zstd a small run as
 * a whole (`WHOLE_SIZE`).
 */
export async function writeMember(
  run: EntryRun,
  options: {
    readonly device: MemberDevice;
    readonly trailer: boolean;
    readonly compression: MemberCompression;
    readonly signal: AbortSignal;
  },
  sink: Sink,
): Promise<MemberSum> {
  const archive = createHash('sha256');
  const stored = createHash('sha256');
  const size = archiveSize(run, options);
  let storedSize = 0;
  const compressor = createCompressor(options.compression, {
    size,
    async sink(bytes) {
      stored.update(bytes);
      storedSize += bytes.length;
      await sink(bytes);
    },
  });
  try {
    // Zstd reads a small run where it lies; gzip takes any by blocks, and need not hold it.
    const whole = options.compression === 'zstd';
    await writeArchive(run, { ...options, whole }, async (bytes) => {
      archive.update(bytes);
      await compressor.write(bytes);
    });
    await compressor.end();
  } finally {
    compressor.destroy();
  }
  return {
    stored: { size: storedSize, sha256: stored.digest('hex') },
    archive: { size, sha256: archive.digest('hex') },
  };
}
