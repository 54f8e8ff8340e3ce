import { InitramfsError, shown } from './error.ts';
import { unpackMember } from './frame.ts';
import type { Header } from './newc.ts';
import { align4, HEADER_SIZE, parseHeader, TRAILER } from './newc.ts';

/** An entry as it stands in an archive. */
export interface ReadEntry {
  readonly header: Header;
  readonly path: string;
  /** The file's bytes, or a symlink's target. */
  readonly data: Buffer;
  /** Which part of the initramfs it came from, from 0. */
  readonly member: number;
}

/** What an uncompressed part may grow to unless told otherwise, in bytes. */
const DEFAULT_LIMIT = 4 * 1024 ** 3 - 1;

/** The entries of one archive held in memory, trailers included; returns the offset behind its last entry. */
export function* readArchive(bytes: Buffer, start = 0, member = 0): Generator<ReadEntry, number, undefined> {
  for (let at = start; ; ) {
    const header = at + HEADER_SIZE <= bytes.length ? parseHeader(bytes, at) : undefined;
    if (header === undefined) return at;
    const name = at + HEADER_SIZE;
    const data = align4(name - start + header.namesize) + start;
    const end = data + header.filesize;
    if (header.namesize < 1 || end > bytes.length) {
      throw new InitramfsError('MalformedArchive', `the cpio entry at byte ${at} is cut short`);
    }
    const path = bytes.toString('utf8', name, name + header.namesize - 1);
    yield { header, path, data: bytes.subarray(data, end), member };
    at = Math.min(align4(end - start) + start, bytes.length);
    if (path === TRAILER) return at;
  }
}

/**
 * Every entry of an initramfs in the order in which the kernel meets them: raw archives at offsets
 * divisible by 4, gzip and zstd members anywhere, zero bytes between them. Throws `MalformedArchive`
 * where the kernel would stop unpacking.
 */
export function* readInitramfs(image: Buffer, limit = DEFAULT_LIMIT): Generator<ReadEntry, void, undefined> {
  let member = 0;
  for (let at = 0; at < image.length; ) {
    if (image[at] === 0) {
      at += 1;
    } else if (image[at] === 0x30 && at % 4 === 0) {
      const end: number = yield* readArchive(image, at, member);
      if (end === at) throw new InitramfsError('MalformedArchive', `no cpio header at byte ${at}`);
      at = end;
      member += 1;
    } else {
      const unpacked = unpackMember(image, at, limit);
      yield* readWhole(unpacked.archive, member);
      at = unpacked.end;
      member += 1;
    }
  }
}

/** The archives of one uncompressed part: one after another, until its end. */
function* readWhole(archive: Buffer, member: number): Generator<ReadEntry, void, undefined> {
  for (let at = 0; at < archive.length; ) {
    if (archive[at] === 0) {
      at += 1;
      continue;
    }
    const end: number = yield* readArchive(archive, at, member);
    if (end === at) {
      const where = shown(archive.toString('latin1', at, at + 16));
      throw new InitramfsError('MalformedArchive', `junk in member ${member} at byte ${at}: ${where}`);
    }
    at = end;
  }
}
