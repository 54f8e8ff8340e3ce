import { type Clock, type Random, SYSTEM_CLOCK } from './clock.ts';
import { NO_METRICS, type QueueMetrics } from './metrics.ts';

export interface WorkQueueOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly metrics?: QueueMetrics;
  /** Backoff of one key: doubles from the first to the second. Default 100 ms to 5 min. */
  readonly baseMs?: number;
  readonly maxMs?: number;
}

/**
 * Keys that want work, each at most once.
 *
 * A key that is added while it is in work is handed out again after `done`, never to a second
 * worker at the same time (the semantics of client-go's workqueue: dirty and processing sets).
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #metrics: QueueMetrics;
  readonly #baseMs: number;
  readonly #maxMs: number;
  /** In order of adding; a Map keeps it, and when each was added. */
  readonly #waiting = new Map<string, number>();
  readonly #processing = new Map<string, { readonly started: number; readonly added: number }>();
  /** Added again while in work. */
  readonly #again = new Map<string, number>();
  readonly #later = new Map<string, { readonly at: number; readonly timer: Disposable }>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #drained = Promise.withResolvers<void>();
  #closed = false;

  constructor(options: WorkQueueOptions = {}) {
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#random = options.random ?? Math.random;
    this.#metrics = options.metrics ?? NO_METRICS.queue('');
    this.#baseMs = options.baseMs ?? 100;
    this.#maxMs = options.maxMs ?? 300_000;
  }

  /** Keys ready to be taken. */
  get depth(): number {
    return this.#waiting.size;
  }

  get processing(): number {
    return this.#processing.size;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#cancelLater(key);
    const now = this.#clock.monotonic();
    if (this.#processing.has(key)) {
      if (this.#again.has(key)) return;
      this.#again.set(key, now);
      this.#metrics.added();
      return;
    }
    if (this.#waiting.has(key)) return;
    this.#metrics.added();
    this.#ready(key, now);
  }

  /** Adds the key after `ms`. Of several such wishes the earliest holds. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    if (this.#waiting.has(key) || this.#again.has(key)) return;
    const at = this.#clock.monotonic() + ms;
    const known = this.#later.get(key);
    if (known !== undefined && known.at <= at) return;
    known?.timer[Symbol.dispose]();
    const timer = this.#clock.timer(ms, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { at, timer });
  }

  /** Adds the key after a wait that doubles with each failure since the last `forget`. Gives that wait in ms. */
  retry(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const full = Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(failures, 30));
    const ms = full * (1 - this.#random() / 2);
    this.#metrics.retried();
    this.addAfter(key, ms);
    return ms;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key; waits for one. `undefined` when the queue is closed. Every key taken must be given back with `done`. */
  take(): Promise<string | undefined> {
    const next = this.#waiting.entries().next();
    if (next.done !== true) {
      const [key, added] = next.value;
      this.#waiting.delete(key);
      this.#start(key, added);
      return Promise.resolve(key);
    }
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  done(key: string): void {
    const work = this.#processing.get(key);
    if (work === undefined) return;
    this.#processing.delete(key);
    this.#metrics.worked((this.#clock.monotonic() - work.started) / 1000);
    this.#observeUnfinished();
    const added = this.#again.get(key);
    if (added !== undefined) {
      this.#again.delete(key);
      if (!this.#closed) this.#ready(key, added);
    }
    if (this.#closed && this.#processing.size === 0) this.#drained.resolve();
  }

  /** Hands out nothing more; what waits is dropped. Resolves when no key is in work. */
  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      for (const { timer } of this.#later.values()) timer[Symbol.dispose]();
      this.#later.clear();
      this.#waiting.clear();
      this.#again.clear();
      this.#metrics.depth(0);
      for (const taker of this.#takers.splice(0)) taker(undefined);
      if (this.#processing.size === 0) this.#drained.resolve();
    }
    return this.#drained.promise;
  }

  /** Brings the figures about work in progress up to date; called when they are scraped. */
  observe(): void {
    this.#observeUnfinished();
  }

  /** Seconds between adding and taking of a key in work; 0 if it is not. */
  waited(key: string): number {
    const work = this.#processing.get(key);
    return work === undefined ? 0 : (work.started - work.added) / 1000;
  }

  /** Seconds that the longest running key has been in work; 0 if none is. */
  longestWork(): number {
    const now = this.#clock.monotonic();
    let longest = 0;
    for (const { started } of this.#processing.values()) longest = Math.max(longest, now - started);
    return longest / 1000;
  }

  #ready(key: string, added: number): void {
    const taker = this.#takers.shift();
    if (taker === undefined) {
      this.#waiting.set(key, added);
      this.#metrics.depth(this.#waiting.size);
      return;
    }
    this.#start(key, added);
    taker(key);
  }

  #start(key: string, added: number): void {
    const now = this.#clock.monotonic();
    this.#processing.set(key, { started: now, added });
    this.#metrics.depth(this.#waiting.size);
    this.#metrics.waited((now - added) / 1000);
  }

  #cancelLater(key: string): void {
    this.#later.get(key)?.timer[Symbol.dispose]();
    this.#later.delete(key);
  }

  #observeUnfinished(): void {
    const now = this.#clock.monotonic();
    let sum = 0;
    for (const { started } of this.#processing.values()) sum += now - started;
    this.#metrics.unfinished(sum / 1000, this.longestWork());
  }
}
