import { limitExceeded, OciError } from '../errors.ts';
import { asBuffer, BLOCK_BYTES, paddingOf } from './block.ts';
import { TarDecoder } from './decoder.ts';
import type { IndexedTarEntry } from './entry.ts';
import { TAR_LIMITS, type TarLimits } from './limits.ts';

/**
 * Notes where every entry of an archive lies while the archive passes by. Bodies cost nothing:
 * they are stepped over by arithmetic, and no promise is made for anything.
 */
export class TarIndexer {
  readonly entries: IndexedTarEntry[] = [];
  readonly #decoder: TarDecoder;
  readonly #name: string;
  readonly #limits: TarLimits;
  #position = 0;
  #state: 'header' | 'record' | 'ended' = 'header';
  /** Bytes to pass over before the state's own bytes begin: bodies and padding. */
  #skip = 0;
  /** Of the state's own bytes: how many are needed, and what has come of them. */
  #needed = BLOCK_BYTES;
  #parts: Uint8Array[] = [];
  #collected = 0;

  constructor(name: string, limits: TarLimits = TAR_LIMITS) {
    this.#name = name;
    this.#limits = limits;
    this.#decoder = new TarDecoder(name, limits);
  }

  /** Takes the next bytes. Nothing of the chunk is kept. */
  push(chunk: Uint8Array): void {
    if (this.#position + chunk.length > this.#limits.maxTarBytes) {
      throw limitExceeded('maxTarBytes', this.#limits.maxTarBytes, this.#name);
    }
    let at = 0;
    while (at < chunk.length && this.#state !== 'ended') {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      const end = Math.min(at + this.#needed - this.#collected, chunk.length);
      const bytes = this.#collect(chunk.subarray(at, end));
      at = end;
      if (bytes !== undefined) this.#advance(bytes, this.#position + end - bytes.length);
    }
    this.#position += chunk.length;
  }

  /**
   * Steps over bytes of a body, at most `limit`, that the caller need not push: for archives that can be
   * read from anywhere. Gives their number.
   */
  passOver(limit: number): number {
    const passed = Math.min(this.#skip, limit);
    this.#skip -= passed;
    this.#position += passed;
    return passed;
  }

  /** Call when the archive is over. Throws if it broke off inside an entry. */
  end(): void {
    if (this.#skip > 0 || this.#collected > 0 || this.#state === 'record') {
      throw new OciError(
        'InvalidTar',
        `${this.#name}: ends at byte ${this.#position}, in the middle of an entry`,
      );
    }
    this.#decoder.end();
  }

  #collect(bytes: Uint8Array): Buffer | undefined {
    if (this.#collected + bytes.length === this.#needed) {
      const whole = this.#collected === 0 ? asBuffer(bytes) : Buffer.concat([...this.#parts, bytes]);
      this.#parts = [];
      this.#collected = 0;
      return whole;
    }
    // Copied, since the chunk is not ours to keep.
    this.#parts.push(Uint8Array.from(bytes));
    this.#collected += bytes.length;
    return undefined;
  }

  #advance(bytes: Buffer, offset: number): void {
    if (this.#state === 'record') {
      this.#decoder.record(bytes);
      this.#skip = paddingOf(bytes.length);
      this.#state = 'header';
      this.#needed = BLOCK_BYTES;
      return;
    }
    const block = this.#decoder.header(bytes, offset);
    switch (block.kind) {
      case 'end':
        this.#state = 'ended';
        break;
      case 'record':
        // An empty record has no bytes to wait for.
        if (block.size === 0) this.#decoder.record(Buffer.alloc(0));
        else {
          this.#state = 'record';
          this.#needed = block.size;
        }
        break;
      case 'entry':
        this.entries.push({ ...block.header, offset: offset + BLOCK_BYTES });
        this.#skip = block.header.size + paddingOf(block.header.size);
        break;
    }
  }
}
