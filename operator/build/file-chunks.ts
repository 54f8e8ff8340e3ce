import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { CodedError } from '../errors.ts';
import type { ByteSum } from '../initramfs/member.ts';

/** A file, and how long it should be. */
export interface SizedFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** A file that cannot be read, or is not as long as it should be. */
export class FileChangedError extends CodedError<'FileChanged'> {}

/** A buffer to read files with, one after another. */
export function chunkBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(1024 * 1024);
}

/**
 * The bytes of a file, in a buffer that is filled again and again. Read without the event loop: the
 * file is in memory most of the time, and the way there and back costs more than the reading. Throws
 * {@link FileChangedError}.
 */
export function* fileChunks(
  { path, size }: SizedFile,
  buffer: Buffer,
): Generator<Uint8Array, void, undefined> {
  const file = open(path);
  try {
    let read = 0;
    for (;;) {
      const count = readSync(file, buffer);
      if (count === 0) break;
      read += count;
      if (read > size) break;
      yield buffer.subarray(0, count);
    }
    if (read !== size) throw new FileChangedError('FileChanged', `${path} does not have ${size} bytes`);
  } finally {
    closeSync(file);
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new FileChangedError('FileChanged', `${path} cannot be read`, { cause: error });
  }
}

/** Writes files one after another to a new one at `path`, and sums it. Throws {@link FileChangedError}. */
export function joinFiles(path: string, files: readonly SizedFile[]): ByteSum {
  const hash = createHash('sha256');
  const buffer = chunkBuffer();
  const output = openSync(path, 'wx');
  let size = 0;
  try {
    for (const file of files) {
      for (const bytes of fileChunks(file, buffer)) {
        hash.update(bytes);
        for (let at = 0; at < bytes.length; ) at += writeSync(output, bytes, at);
        size += bytes.length;
      }
    }
  } finally {
    closeSync(output);
  }
  return { size, sha256: hash.digest('hex') };
}

/**
 * Copies `size` bytes of an open file, from `offset` on, to a new file at `path`, and sums them: without the
 * event loop, as {@link fileChunks}. Throws {@link FileChangedError}.
 */
export function copyRange(
  from: { readonly descriptor: number; readonly offset: number; readonly size: number },
  path: string,
): ByteSum {
  const hash = createHash('sha256');
  const buffer = chunkBuffer();
  const output = openSync(path, 'wx');
  let copied = 0;
  try {
    while (copied < from.size) {
      const wanted = Math.min(buffer.length, from.size - copied);
      const read = readSync(from.descriptor, buffer, 0, wanted, from.offset + copied);
      if (read === 0) throw new FileChangedError('FileChanged', `${path} ends after ${copied} bytes`);
      const bytes = buffer.subarray(0, read);
      hash.update(bytes);
      for (let at = 0; at < read; ) at += writeSync(output, bytes, at);
      copied += read;
    }
  } finally {
    closeSync(output);
  }
  return { size: copied, sha256: hash.digest('hex') };
}
