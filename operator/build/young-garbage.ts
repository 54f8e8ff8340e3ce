import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of buffers that may become garbage before they are freed. */
const ALLOWANCE = 8 * 1024 * 1024;

/**
 * Frees buffers that were used once and dropped. They lie outside of V8's heap and weigh nothing in its
 * young generation, so V8 lets a hundred megabytes of them come together and then marks everything
 * there is. A collection of the young generation alone takes a fraction of a millisecond.
 */
export class YoungGarbage {
  readonly #collect: (options: { readonly type: 'minor' }) => void;
  #bytes = 0;

  constructor() {
    setFlagsFromString('--expose-gc');
    setFlagsFromString('--semi-space-growth-factor=1');
    this.#collect = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
  }

  /** Says that a buffer of so many bytes has been dropped, or will be soon. */
  dropped(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < ALLOWANCE) return;
    this.#bytes = 0;
    this.#collect({ type: 'minor' });
  }
}
