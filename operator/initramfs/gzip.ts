import { crc32, deflateRaw } from 'node:zlib';
import { freeBuffer } from '../buffer.ts';
import type { Sink } from './archive.ts';
import type { Compressor } from './compressor.ts';

/** Bytes compressed by one call. */
const BLOCK_SIZE = 512 * 1024;
/** Blocks compressed at the same time: one large file can occupy two cores. */
const PARALLEL_BLOCKS = 2;
/** How far back deflate can refer (RFC 1951, section 2): what a block knows of the one before it. */
const WINDOW_SIZE = 32 * 1024;
/** RFC 1952, section 2.3: deflate, no flags, no time, no extra flags, Unix. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
const Z_SYNC_FLUSH = 2;
const Z_FINISH = 4;

/**
 * One gzip stream, made of deflate blocks that are compressed side by side: each but the last
 * ends byte-aligned by a sync flush and begins with the window of its predecessor.
 */
export class GzipCompressor implements Compressor {
  readonly #sink: Sink;
  readonly #level: number;
  /** Blocks that are being compressed, in their order, at most {@link PARALLEL_BLOCKS} of them. */
  readonly #underWay: { readonly block: Buffer; readonly compressed: Promise<Buffer> }[] = [];
  /** Blocks that may be filled again. */
  readonly #free: Buffer[] = [];
  #block: Buffer = Buffer.allocUnsafeSlow(BLOCK_SIZE);
  #used = 0;
  #window: Buffer | undefined;
  #crc = 0;
  #size = 0;
  #begun = false;

  constructor(options: { readonly level: number; readonly sink: Sink }) {
    this.#sink = options.sink;
    this.#level = options.level;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#crc = crc32(bytes, this.#crc);
    this.#size += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      // A full block waits for the byte after it: only then is it known not to be the last.
      if (this.#used === BLOCK_SIZE) await this.#submit(Z_SYNC_FLUSH);
      const part = bytes.subarray(at, at + BLOCK_SIZE - this.#used);
      this.#block.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
    }
  }

  async end(): Promise<void> {
    await this.#submit(Z_FINISH);
    while (this.#underWay.length > 0) await this.#emit();
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(this.#crc, 0);
    trailer.writeUInt32LE(this.#size % 0x1_0000_0000, 4);
    await this.#sink(trailer);
  }

  destroy(): void {
    this.#underWay.length = 0;
  }

  async #submit(finishFlush: number): Promise<void> {
    const block = this.#block;
    const bytes = block.subarray(0, this.#used);
    const compressed = deflate(bytes, {
      level: this.#level,
      // Both: otherwise what is left for the flush comes in a chunk of its own, and Node joins the two by copying.
      flush: finishFlush,
      finishFlush,
      chunkSize: BLOCK_SIZE / 2,
      ...(this.#window === undefined ? {} : { dictionary: this.#window }),
    });
    // Awaited in its turn; a failure before that is not unhandled.
    compressed.catch(() => undefined);
    this.#underWay.push({ block, compressed });
    this.#window = Buffer.from(bytes.subarray(-WINDOW_SIZE));
    if (this.#underWay.length >= PARALLEL_BLOCKS) await this.#emit();
    this.#block = this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_SIZE);
    this.#used = 0;
  }

  async #emit(): Promise<void> {
    const next = this.#underWay.shift();
    if (next === undefined) return;
    const compressed = await next.compressed;
    this.#free.push(next.block);
    if (!this.#begun) {
      this.#begun = true;
      await this.#sink(HEADER);
    }
    await this.#sink(compressed);
    freeBuffer(compressed);
  }
}

function deflate(block: Buffer, options: Parameters<typeof deflateRaw>[1]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    deflateRaw(block, options, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}
