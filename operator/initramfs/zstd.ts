import { constants, createZstdCompress } from 'node:zlib';
import type { Sink } from './archive.ts';
import type { Compressor } from './compressor.ts';

/**
 * Largest stream, in bytes, that is collected and compressed in one call. libzstd then reads what was
 * collected, instead of copying it into a ring whose seam costs it half of its speed.
 */
export const WHOLE_SIZE = 16 * 1024 * 1024;

const OUTPUT_CHUNK = 128 * 1024;
/** 1 MiB back, which stays in the processor's cache; twice that saves a hundredth. The kernel accepts up to 128 MiB. */
const WINDOW_LOG = 20;

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
      [constants.ZSTD_c_checksumFlag]: 0,
    },
  };
}

/** One zstd stream of a single frame (RFC 8878), as the kernel's unpacker wants it. */
export function createZstdCompressor(options: Options): Compressor {
  return options.size <= WHOLE_SIZE ? new WholeCompressor(options) : new StreamCompressor(options);
}

/** Most bytes that libzstd makes of `size` (ZSTD_compressBound). With room for them it compresses in one go. */
function compressBound(size: number): number {
  const small = 128 * 1024;
  return size + Math.floor(size / 256) + (size < small ? Math.floor((small - size) / 2048) : 0);
}

/** Frees the memory of a buffer now. The garbage collector does not know how large it is, and would let it lie. */
function free(buffer: Buffer): void {
  (buffer.buffer as ArrayBuffer).transfer(0);
}

/** Collects everything, and compresses it at the end. */
class WholeCompressor implements Compressor {
  readonly #options: Options;
  readonly #buffer: Buffer;
  #used = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#buffer = Buffer.allocUnsafeSlow(options.size);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  async end(): Promise<void> {
    const input = this.#buffer.subarray(0, this.#used);
    // An end after each write: told of it together with the bytes, libzstd takes them in one go.
    const stream = createZstdCompress({
      ...settings(this.#options),
      chunkSize: Math.max(OUTPUT_CHUNK, compressBound(input.length)),
      flush: constants.ZSTD_e_end,
    });
    try {
      const compressed = await new Promise<Buffer[]>((resolve, reject) => {
        const chunks: Buffer[] = [];
        stream.once('error', reject);
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.write(input, (error) => (error == null ? resolve(chunks) : reject(error)));
      });
      free(this.#buffer);
      for (const chunk of compressed) {
        await this.#options.sink(chunk);
        free(chunk);
      }
    } finally {
      stream.destroy();
    }
  }

  destroy(): void {
    // After a failure somebody may still be reading.
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
    this.#stream = createZstdCompress({ chunkSize: OUTPUT_CHUNK, ...settings(options) });
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
    for await (const chunk of this.#stream) await sink(chunk as Buffer);
  }
}
