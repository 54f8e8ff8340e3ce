import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes set aside while a build needs them: written once from front to back, then read by offset. */
export interface Spool extends AsyncDisposable {
  /** Bytes written so far. */
  readonly size: number;
  /** Resolves when the owner may reuse the chunk. Calls must not overlap. */
  append(chunk: Uint8Array): Promise<void>;
  /** Yields `length` bytes from `offset`. The chunks stay as they are for as long as they are held. */
  read(offset: number, length: number): AsyncGenerator<Uint8Array, void, undefined>;
}

/** How much is asked of the disk at once, in bytes. Small files that lie together come from one read. */
const READ_BYTES = 256 * 1024;

/**
 * A spool in a file of `directory`. The file loses its name as soon as it is open: however the
 * process ends, the disk is free again.
 */
export async function openSpool(directory: string): Promise<Spool> {
  const path = join(directory, `spool-${randomUUID()}`);
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await unlink(path);
  } catch (error) {
    await file.close();
    throw error;
  }
  return new FileSpool(file);
}

class FileSpool implements Spool {
  readonly #file: FileHandle;
  #size = 0;
  /** What was read last. Never written to again, so that readers may keep parts of it. */
  #window: { readonly start: number; readonly bytes: Uint8Array } = { start: 0, bytes: new Uint8Array() };

  constructor(file: FileHandle) {
    this.#file = file;
  }

  get size(): number {
    return this.#size;
  }

  async append(chunk: Uint8Array): Promise<void> {
    const position = this.#size;
    this.#size += chunk.length;
    for (let written = 0; written < chunk.length; ) {
      const rest = chunk.length - written;
      written += (await this.#file.write(chunk, written, rest, position + written)).bytesWritten;
    }
  }

  async *read(offset: number, length: number): AsyncGenerator<Uint8Array, void, undefined> {
    const end = offset + length;
    if (offset < 0 || length < 0 || end > this.#size) {
      throw new RangeError(`spool: bytes ${offset} to ${end} are beyond its ${this.#size}`);
    }
    for (let at = offset; at < end; ) {
      let { start, bytes } = this.#window;
      if (at < start || at >= start + bytes.length) {
        start = at;
        bytes = await this.#load(at);
        this.#window = { start, bytes };
      }
      const chunk = bytes.subarray(at - start, Math.min(end - start, bytes.length));
      at += chunk.length;
      yield chunk;
    }
  }

  async #load(start: number): Promise<Uint8Array> {
    const wanted = Math.min(READ_BYTES, this.#size - start);
    const buffer = Buffer.allocUnsafeSlow(wanted);
    for (let filled = 0; filled < wanted; ) {
      const { bytesRead } = await this.#file.read(buffer, filled, wanted - filled, start + filled);
      if (bytesRead === 0)
        throw new Error(`spool: the file ends at ${start + filled}, it had ${this.#size} bytes`);
      filled += bytesRead;
    }
    return buffer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
