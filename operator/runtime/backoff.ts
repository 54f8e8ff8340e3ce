import type { Random } from './clock.ts';

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  readonly random: Random;
}

/**
 * Waiting times that double from `baseMs` to `maxMs`, each cut by a random part of up to a half,
 * so that those who failed together do not return together.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #attempts = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const { baseMs, maxMs, random } = this.#options;
    const full = Math.min(maxMs, baseMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts++;
    return full * (1 - random() / 2);
  }

  reset(): void {
    this.#attempts = 0;
  }
}
