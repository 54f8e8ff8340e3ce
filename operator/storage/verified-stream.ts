import { createHash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { StorageError } from './store.ts';

/**
 * Passes bytes on and fails with `ChecksumMismatch` unless they are exactly those announced.
 *
 * The last chunk is held back until everything has been checked, so whoever reads this stream
 * never sees a complete wrong object: an upload is cut before its last byte, and a reader gets
 * an error in place of the end.
 */
export class VerifiedStream extends Transform {
  readonly #expected: { readonly size: number; readonly sha256: string };
  readonly #what: string;
  readonly #hash = createHash('sha256');
  #seen = 0;
  #held: Buffer | undefined;

  /** `what` names the object in the error: a key, a digest. */
  constructor(expected: { readonly size: number; readonly sha256: string }, what: string) {
    super();
    this.#expected = expected;
    this.#what = what;
  }

  /** Bytes that came in so far. */
  get seen(): number {
    return this.#seen;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#seen += chunk.length;
    if (this.#seen > this.#expected.size) {
      done(this.#mismatch(`more than the announced ${this.#expected.size} bytes`));
      return;
    }
    this.#hash.update(chunk);
    const held = this.#held;
    this.#held = chunk;
    done(null, held);
  }

  override _flush(done: TransformCallback): void {
    if (this.#seen !== this.#expected.size) {
      done(this.#mismatch(`${this.#seen} bytes instead of the announced ${this.#expected.size}`));
      return;
    }
    const sha256 = this.#hash.digest('hex');
    if (sha256 !== this.#expected.sha256) {
      done(this.#mismatch(`SHA-256 ${sha256} instead of the announced ${this.#expected.sha256}`));
      return;
    }
    done(null, this.#held);
  }

  #mismatch(how: string): StorageError {
    return new StorageError('ChecksumMismatch', `${this.#what}: ${how}`);
  }
}
