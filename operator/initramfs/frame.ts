import { crc32, inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { InitramfsError } from './error.ts';

/** One compressed part of an initramfs, unpacked, and where the next begins. */
export interface UnpackedMember {
  readonly compression: 'gzip' | 'zstd';
  readonly archive: Buffer;
  readonly end: number;
}

const GZIP_MAGIC = 0x1f8b;
const ZSTD_MAGIC = 0xfd2f_b528;

/**
 * Unpacks the gzip member or zstd frame at `offset`. Like the kernel it takes one at a time: where
 * it ends, anything may follow. Throws `MalformedArchive`, also when more than `limit` bytes come out.
 */
export function unpackMember(bytes: Buffer, offset: number, limit: number): UnpackedMember {
  try {
    if (offset + 18 <= bytes.length && bytes.readUInt16BE(offset) === GZIP_MAGIC)
      return gunzip(bytes, offset, limit);
    if (offset + 9 <= bytes.length && bytes.readUInt32LE(offset) === ZSTD_MAGIC) {
      const end = endOfFrame(bytes, offset);
      const archive = zstdDecompressSync(bytes.subarray(offset, end), { maxOutputLength: limit });
      return { compression: 'zstd', archive, end };
    }
  } catch (error) {
    if (error instanceof InitramfsError) throw error;
    throw malformed(offset, 'cannot be uncompressed', error);
  }
  throw malformed(offset, 'is neither a cpio archive nor gzip nor zstd');
}

/** RFC 1952, section 2.2. */
function gunzip(bytes: Buffer, offset: number, limit: number): UnpackedMember {
  const flags = bytes.readUInt8(offset + 3);
  let at = offset + 10;
  if ((flags & 4) !== 0) at += 2 + bytes.readUInt16LE(at);
  for (const flag of [8, 16]) if ((flags & flag) !== 0) at = bytes.indexOf(0, at) + 1;
  if ((flags & 2) !== 0) at += 2;
  // With `info` the result tells how much of the input belonged to the stream; the types don't know.
  const result = inflateRawSync(bytes.subarray(at), { info: true, maxOutputLength: limit }) as unknown as {
    readonly buffer: Buffer;
    readonly engine: { readonly bytesWritten: number };
  };
  const trailer = at + result.engine.bytesWritten;
  if (bytes.readUInt32LE(trailer) !== crc32(result.buffer)) throw malformed(offset, 'fails its checksum');
  return { compression: 'gzip', archive: result.buffer, end: trailer + 8 };
}

/** Walks the blocks of a frame (RFC 8878, section 3.1.1) without unpacking them. */
function endOfFrame(bytes: Buffer, offset: number): number {
  const descriptor = bytes.readUInt8(offset + 4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionarySize = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  let at = offset + 5 + (singleSegment ? 0 : 1) + dictionarySize + contentSize;
  for (let last = false; !last; ) {
    const header = bytes.readUIntLE(at, 3);
    last = (header & 1) !== 0;
    const runLength = ((header >> 1) & 3) === 1;
    at += 3 + (runLength ? 1 : header >> 3);
  }
  if ((descriptor & 4) !== 0) at += 4;
  if (at > bytes.length) throw malformed(offset, 'is cut short');
  return at;
}

function malformed(offset: number, how: string, cause?: unknown): InitramfsError {
  return new InitramfsError('MalformedArchive', `the part of the initramfs at byte ${offset} ${how}`, {
    cause,
  });
}
