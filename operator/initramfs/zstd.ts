import { constants, createZstdCompress } from 'node:zlib';
import type { Sink } from './archive.ts';
import type { Compressor } from './compressor.ts';

const OUTPUT_CHUNK = 128 * 1024;
/** 1 MiB back, which stays in the processor's cache; twice that saves a hundredth. The kernel accepts up to 128 MiB. */
const WINDOW_LOG = 20;

/**
 * One zstd stream of a single frame (RFC 8878), as the kernel's unpacker wants it. On one core:
 * with libzstd's own threads (`ZSTD_c_nbWorkers`) Node 24 ends streams before their end.
 */
export class ZstdCompressor implements Compressor {
  readonly #stream: ReturnType<typeof createZstdCompress>;
  readonly #finished: Promise<void>;
  #failure: unknown;

  constructor(options: {
    readonly level: number;
    /** Bytes that will be written, recorded in the frame. */
    readonly size: number;
    readonly sink: Sink;
  }) {
    this.#stream = createZstdCompress({
      chunkSize: OUTPUT_CHUNK,
      pledgedSrcSize: options.size,
      params: {
        [constants.ZSTD_c_compressionLevel]: options.level,
        [constants.ZSTD_c_windowLog]: WINDOW_LOG,
        [constants.ZSTD_c_checksumFlag]: 0,
      },
    });
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
