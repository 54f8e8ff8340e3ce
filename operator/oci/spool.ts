import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes set aside while a build needs them: written once from front to back, then read by offset. */
export interface Spool extends AsyncDisposable {
  /** Bytes written so far. */
  readonly size: number;
  /** Of the open file that the bytes are in, from its beginning: for readers that know how to read a file themselves. */
  readonly descriptor: number;
  /** Resolves when the owner may reuse the chunk. Calls must not overlap. */
  append(chunk: Uint8Array): Promise<void>;
  /** Says that bytes up to `size` were written by somebody else, through the descriptor. */
  extend(size: number): void;
  /** Yields `length` bytes from `offset`. The chunks stay as they are for as long as they are held. */
  read(offset: number, length: number): AsyncGenerator<Uint8Array, void, undefined>;
}

/** Small files are read in blocks of this size, large ones past the cache in pieces of it, in bytes. */
const BLOCK_BYTES = 128 * 1024;

/**
 * Blocks that were read last, of one spool or of many. An archive seldom holds a directory's
 * files in the order in which they are wanted, but it holds them close together.
 */
export class BlockCache {
  readonly #capacity: number;
  readonly #blocks = new Map<string, Promise<Uint8Array>>();

  /** `capacity` in bytes. */
  constructor(capacity: number = 4 << 20) {
    this.#capacity = Math.max(1, Math.floor(capacity / BLOCK_BYTES));
  }

  /** Readers that want the same block at the same time wait for the same read. */
  get(key: string, load: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const known = this.#blocks.get(key);
    const block = known ?? load();
    // A read that failed is tried again by whoever asks next.
    if (known === undefined) block.catch(() => this.#blocks.delete(key));
    // A map keeps the order of insertion: what is used goes to its end, what was not for longest is first.
    this.#blocks.delete(key);
    this.#blocks.set(key, block);
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= this.#capacity) break;
      this.#blocks.delete(oldest);
    }
    return block;
  }
}

/**
 * A spool in a file of `directory`. The file loses its name as soon as it is open: however the
 * process ends, the disk is free again.
 */
export async function openSpool(directory: string, cache: BlockCache = new BlockCache()): Promise<Spool> {
  const id = randomUUID();
  const path = join(directory, `spool-${id}`);
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await unlink(path);
  } catch (error) {
    await file.close();
    throw error;
  }
  return new FileSpool(id, file, cache);
}

class FileSpool implements Spool {
  readonly #id: string;
  readonly #file: FileHandle;
  readonly #cache: BlockCache;
  #size = 0;

  constructor(id: string, file: FileHandle, cache: BlockCache) {
    this.#id = id;
    this.#file = file;
    this.#cache = cache;
  }

  get size(): number {
    return this.#size;
  }

  get descriptor(): number {
    return this.#file.fd;
  }

  async append(chunk: Uint8Array): Promise<void> {
    const position = this.#size;
    for (let written = 0; written < chunk.length; ) {
      const rest = chunk.length - written;
      written += (await this.#file.write(chunk, written, rest, position + written)).bytesWritten;
    }
    this.#size = position + chunk.length;
  }

  extend(size: number): void {
    if (size < this.#size)
      throw new RangeError(`spool: ${size} bytes are less than the ${this.#size} it has`);
    this.#size = size;
  }

  async *read(offset: number, length: number): AsyncGenerator<Uint8Array, void, undefined> {
    const end = offset + length;
    if (offset < 0 || length < 0 || end > this.#size) {
      throw new RangeError(`spool: bytes ${offset} to ${end} are beyond its ${this.#size}`);
    }
    for (let at = offset; at < end; ) {
      const chunk = end - at >= BLOCK_BYTES ? await this.#load(at, BLOCK_BYTES) : await this.#cached(at, end);
      at += chunk.length;
      yield chunk;
    }
  }

  async #cached(at: number, end: number): Promise<Uint8Array> {
    const number = Math.floor(at / BLOCK_BYTES);
    const start = number * BLOCK_BYTES;
    // How far the spool reached belongs to the key: a block that was read while it grew is not whole.
    const length = Math.min(BLOCK_BYTES, this.#size - start);
    const block = await this.#cache.get(`${this.#id}/${number}/${length}`, () => this.#load(start, length));
    return block.subarray(at - start, end - start);
  }

  async #load(start: number, length: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafeSlow(length);
    for (let filled = 0; filled < length; ) {
      const { bytesRead } = await this.#file.read(buffer, filled, length - filled, start + filled);
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
