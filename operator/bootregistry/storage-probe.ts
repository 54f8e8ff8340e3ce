import { messageOf } from '../errors.ts';

const INTERVAL_MS = 10_000;
const DEADLINE_MS = 5_000;

/**
 * Asks object storage from time to time whether it answers, so that a readiness probe need not wait
 * for it, and a storm of probes does not become one of requests.
 */
export class StorageProbe implements Disposable {
  readonly #probe: (options: { readonly signal: AbortSignal }) => Promise<void>;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #problem: string | undefined = 'object storage has not answered yet';

  /** `probe` rejects when storage does not answer, with an error that may be shown. */
  constructor(probe: (options: { readonly signal: AbortSignal }) => Promise<void>) {
    this.#probe = probe;
  }

  /** Undefined if storage answered when it was last asked. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Asks now, then at intervals until disposed of. Resolves after the first answer, whatever it is. */
  async start(): Promise<void> {
    const { signal } = this.#stop;
    try {
      await this.#probe({ signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]) });
      this.#problem = undefined;
    } catch (error) {
      this.#problem = messageOf(error);
    }
    if (!signal.aborted) this.#timer = setTimeout(() => void this.start(), INTERVAL_MS);
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }
}
