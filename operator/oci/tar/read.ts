import { limitExceeded, OciError } from '../errors.ts';
import { asBuffer, BLOCK_BYTES, paddingOf } from './block.ts';
import { TarDecoder } from './decoder.ts';
import type { TarEntry } from './entry.ts';
import { TAR_LIMITS, type TarLimits } from './limits.ts';

/**
 * Reads an archive entry by entry. Bodies are handed out as parts of the source's own chunks,
 * without copying; a body that is not read, or not to its end, is skipped. The source is read to
 * its end, past the archive's own, so that what verifies it has seen everything.
 *
 * Throws {@link OciError} `InvalidTar`, `UnsafePath` or `LimitExceeded`.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  name: string,
  limits: TarLimits = TAR_LIMITS,
): AsyncGenerator<TarEntry, void, undefined> {
  const decoder = new TarDecoder(name, limits);
  const bytes = new ByteQueue(source, name, limits.maxTarBytes);
  try {
    for (;;) {
      const offset = bytes.position;
      const block = await bytes.take(BLOCK_BYTES, 'allow-end');
      if (block === undefined) break;
      const decoded = decoder.header(block, offset);
      if (decoded.kind === 'end') break;
      if (decoded.kind === 'record') {
        decoder.record((await bytes.take(decoded.size)) ?? Buffer.alloc(0));
        await bytes.skip(paddingOf(decoded.size));
        continue;
      }
      const size = decoded.header.size;
      const body = new Body(bytes, size);
      yield { ...decoded.header, body };
      await bytes.skip(body.finish() + paddingOf(size));
    }
    decoder.end();
    await bytes.drain();
  } finally {
    await bytes.close();
  }
}

class Body implements AsyncIterable<Uint8Array> {
  readonly #bytes: ByteQueue;
  #left: number;
  #over = false;

  constructor(bytes: ByteQueue, size: number) {
    this.#bytes = bytes;
    this.#left = size;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#over) throw new Error('the body of a tar entry was read after the next entry was asked for');
    while (this.#left > 0) {
      const ready = this.#bytes.some(this.#left);
      const chunk = ready instanceof Promise ? await ready : ready;
      this.#left -= chunk.length;
      yield chunk;
      if (this.#over && this.#left > 0)
        throw new Error('the body of a tar entry was read past the next entry');
    }
  }

  /** Closes the body and tells how much of it was not read. */
  finish(): number {
    this.#over = true;
    return this.#left;
  }
}

/** Cuts the source's chunks where the archive wants them cut. Answers at once whenever it can. */
class ByteQueue {
  position = 0;
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #name: string;
  readonly #limit: number;
  #chunk: Uint8Array = new Uint8Array();
  #received = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>, name: string, limit: number) {
    this.#source = source[Symbol.asyncIterator]();
    this.#name = name;
    this.#limit = limit;
  }

  /** Exactly so many bytes in one piece; undefined if the source is over and that is allowed here. */
  take(size: number, end?: 'allow-end'): Buffer | Promise<Buffer | undefined> {
    return this.#chunk.length >= size ? asBuffer(this.#cut(size)) : this.#gather(size, end);
  }

  /** Some bytes, at least one and at most so many. */
  some(most: number): Uint8Array | Promise<Uint8Array> {
    return this.#chunk.length > 0 ? this.#cut(most) : this.#next().then(() => this.#cut(most));
  }

  async skip(size: number): Promise<void> {
    let left = size - this.#cut(size).length;
    while (left > 0) {
      await this.#next();
      left -= this.#cut(left).length;
    }
  }

  async drain(): Promise<void> {
    while (await this.#fill());
  }

  async close(): Promise<void> {
    if (!this.#ended) await this.#source.return?.();
  }

  async #gather(size: number, end: 'allow-end' | undefined): Promise<Buffer | undefined> {
    const parts: Uint8Array[] = [];
    let length = 0;
    while (length < size) {
      if (this.#chunk.length === 0 && !(await this.#fill())) {
        if (length === 0 && end === 'allow-end') return undefined;
        throw this.#truncated();
      }
      const part = this.#cut(size - length);
      parts.push(part);
      length += part.length;
    }
    return Buffer.concat(parts);
  }

  async #next(): Promise<void> {
    if (!(await this.#fill())) throw this.#truncated();
  }

  async #fill(): Promise<boolean> {
    do {
      const next = await this.#source.next();
      if (next.done === true) {
        this.#ended = true;
        return false;
      }
      this.#chunk = next.value;
      this.#received += next.value.length;
      if (this.#received > this.#limit) throw limitExceeded('maxTarBytes', this.#limit, this.#name);
    } while (this.#chunk.length === 0);
    return true;
  }

  #cut(most: number): Uint8Array {
    const whole = this.#chunk.length <= most;
    const part = whole ? this.#chunk : this.#chunk.subarray(0, most);
    this.#chunk = whole ? new Uint8Array() : this.#chunk.subarray(most);
    this.position += part.length;
    return part;
  }

  #truncated(): OciError {
    return new OciError(
      'InvalidTar',
      `${this.#name}: ends at byte ${this.position}, in the middle of an entry`,
    );
  }
}
