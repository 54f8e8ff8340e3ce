import { createHash } from 'node:crypto';
import type { BuildPod } from './identity.ts';

/** How long an answer is used again. Also how long a deleted pod may go on, so it is short. */
const FRESH_MS = 10_000;
const MAX_ENTRIES = 1000;

/**
 * Remembers whom tokens belong to for a few seconds, since a build makes its requests in quick
 * succession and each identification asks the API server four times. Only good answers are kept,
 * under a digest
 * of the token.
 */
export class IdentityCache {
  readonly #identify: (token: string, options: { readonly signal: AbortSignal }) => Promise<BuildPod>;
  readonly #now: () => number;
  readonly #entries = new Map<string, { readonly pod: BuildPod; readonly until: number }>();

  /** `now` in milliseconds. */
  constructor(
    identify: (token: string, options: { readonly signal: AbortSignal }) => Promise<BuildPod>,
    now: () => number,
  ) {
    this.#identify = identify;
    this.#now = now;
  }

  async identify(token: string, options: { readonly signal: AbortSignal }): Promise<BuildPod> {
    const name = createHash('sha256').update(token).digest('base64');
    const known = this.#entries.get(name);
    if (known !== undefined && known.until > this.#now()) return known.pod;
    const pod = await this.#identify(token, options);
    this.#entries.delete(name);
    this.#entries.set(name, { pod, until: this.#now() + FRESH_MS });
    for (const [old, entry] of this.#entries) {
      if (this.#entries.size <= MAX_ENTRIES && entry.until > this.#now()) break;
      this.#entries.delete(old);
    }
    return pod;
  }
}
