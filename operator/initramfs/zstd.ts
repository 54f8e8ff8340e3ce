import { constants, createZstdCompress } from 'node:zlib';
import { endsBuffer, freeBuffer } from '../buffer.ts';
import { type Sink, WHOLE_SIZE } from './archive.ts';
import type { Compressor } from './compressor.ts';

const OUTPUT_CHUNK = 128 * 1024;
/** Chunks of output that may wait for the sink. */
const OUTPUT_CHUNKS = 4;
/** 1 MiB back, which stays in the processor's cache; twice that saves a hundredth. The kernel accepts up to 128 MiB. */
const WINDOW_LOG = 20;
/** Twice the places of level 1 to find what was there before: a fortieth smaller, at no cost. */
const HASH_LOG = 15;

interface Options {
  readonly level: number;
  /** Bytes that will be written, recorded in the frame. */
  readonly size: number;
  readonly sink: Sink;
}

function settings({ level, size }: Options): { pledgedSrcSize: number; params: Record<number, number> } {
  return {
    pledgedSrcSize: size,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: WINDOW_LOG,
      [constants.ZSTD_c_hashLog]: HASH_LOG,
      [constants.ZSTD_c_checksumFlag]: 0,
    },
  };
}

/**
 * One zstd stream of a single frame (RFC 8878), as the kernel's unpacker wants it. Up to {@link WHOLE_SIZE} its
 * bytes have to come in one piece, as {@link writeArchive} gives them.
 */
export function createZstdCompressor(options: Options): Compressor {
  return options.size <= WHOLE_SIZE ? new WholeCompressor(options) : new StreamCompressor(options);
}

/** Most bytes that libzstd makes of `size` (ZSTD_compressBound). With room for them it compresses in one go. */
function compressBound(size: number): number {
  const small = 128 * 1024;
  return size + Math.floor(size / 256) + (size < small ? Math.floor((small - size) / 2048) : 0);
}

/** Compresses what comes in one piece in one call: libzstd then reads it where it is, without a ring of its own. */
class WholeCompressor implements Compressor {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async write(bytes: Uint8Array): Promise<void> {
    // An end after each write: told of it together with the bytes, libzstd takes them in one go.
    const stream = createZstdCompress({
      ...settings(this.#options),
      chunkSize: Math.max(OUTPUT_CHUNK, compressBound(bytes.length)),
      flush: constants.ZSTD_e_end,
    });
    try {
      const compressed = await new Promise<Buffer[]>((resolve, reject) => {
        const chunks: Buffer[] = [];
        stream.once('error', reject);
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.write(bytes, (error) => (error == null ? resolve(chunks) : reject(error)));
      });
      for (const chunk of compressed) {
        await this.#options.sink(chunk);
        freeBuffer(chunk);
      }
    } finally {
      stream.destroy();
    }
  }

  async end(): Promise<void> {
    // Every write was a frame of its own, and there is one.
  }

  destroy(): void {
    // A write that is under way lets go of its memory itself.
  }
}

/**
 * Compresses what comes, on one core: with libzstd's own threads (`ZSTD_c_nbWorkers`) Node 24 ends
 * streams before their end.
 */
class StreamCompressor implements Compressor {
  readonly #stream: ReturnType<typeof createZstdCompress>;
  readonly #finished: Promise<void>;
  #failure: unknown;

  constructor(options: Options) {
    // Without object mode the stream would join waiting chunks into one by copying them.
    const streaming = { readableObjectMode: true, readableHighWaterMark: OUTPUT_CHUNKS };
    this.#stream = createZstdCompress({ chunkSize: OUTPUT_CHUNK, ...streaming, ...settings(options) });
    this.#finished = this.#drain(options.sink);
    // Met in end(), or by the next write; until then it is no unhandled rejection.
    this.#finished.catch((error: unknown) => {
      this.#failure = error ?? new Error('compression failed');
      this.#stream.destroy();
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      // The callback comes when libzstd has taken the bytes in: the buffer may be used again.
      this.#stream.write(bytes, (error) => (error == null ? resolve() : reject(this.#failure ?? error)));
    });
  }

  async end(): Promise<void> {
    this.#stream.end();
    await this.#finished;
  }

  destroy(): void {
    this.#stream.destroy();
  }

  async #drain(sink: Sink): Promise<void> {
    for await (const chunk of this.#stream as AsyncIterable<Buffer>) {
      await sink(chunk);
      if (endsBuffer(chunk)) freeBuffer(chunk);
    }
  }
}
