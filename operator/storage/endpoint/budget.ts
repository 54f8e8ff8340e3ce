/** A bucket that refills at `perSecond` up to `burst`. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** What one namespace may ask of the endpoint. A build of usual size makes a few dozen requests. */
export const REQUEST_RATE: Rate = { burst: 200, perSecond: 20 };
/** Bytes that one namespace may announce for upload. */
export const UPLOAD_RATE: Rate = { burst: 64 * 1024 ** 3, perSecond: 32 * 1024 ** 2 };

interface Level {
  readonly amount: number;
  /** Seconds, of the clock that is passed in. */
  readonly at: number;
}

/** Beyond this many, buckets that are full again, which is to say as good as new, are forgotten. */
const TIDY_ABOVE = 1000;

/**
 * One token bucket per name. An amount larger than the whole burst is let through when the bucket is
 * full, and leaves a debt: what is allowed at all is not forbidden by its size.
 */
export class Budget {
  readonly #rate: Rate;
  readonly #levels = new Map<string, Level>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Takes `amount` and returns 0, or takes nothing and returns the seconds after which to ask again. */
  take(name: string, amount: number, nowSeconds: number): number {
    const level = this.#levelAt(name, nowSeconds);
    const needed = Math.min(amount, this.#rate.burst);
    if (level < needed) return Math.ceil((needed - level) / this.#rate.perSecond);
    if (this.#levels.size >= TIDY_ABOVE) this.#tidy(nowSeconds);
    this.#levels.set(name, { amount: level - amount, at: nowSeconds });
    return 0;
  }

  #levelAt(name: string, now: number): number {
    const level = this.#levels.get(name);
    if (level === undefined) return this.#rate.burst;
    return Math.min(this.#rate.burst, level.amount + Math.max(0, now - level.at) * this.#rate.perSecond);
  }

  #tidy(now: number): void {
    for (const name of this.#levels.keys()) {
      if (this.#levelAt(name, now) >= this.#rate.burst) this.#levels.delete(name);
    }
  }
}
