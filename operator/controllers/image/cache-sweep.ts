import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../errors.ts';
import type { Clock, Random } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { listNamespaceCache } from '../../storage/artifacts.ts';
import { collectCache } from '../../storage/garbage.ts';
import type { ObjectStore } from '../../storage/store.ts';

export interface CacheLimits {
  /** Older entries go, in milliseconds. An entry in use is made anew once in this time. */
  readonly maxAgeMs: number;
  /** Of one namespace. */
  readonly maxBytes: number;
}

export interface CacheSweepOptions {
  readonly store: Pick<ObjectStore, 'list' | 'delete'>;
  readonly limits: CacheLimits;
  /** Namespaces that have images. The cache of any other went with its last image. */
  readonly namespaces: () => ReadonlySet<string>;
  readonly isBuilding: (namespace: string) => boolean;
  readonly metrics: {
    swept(result: 'succeeded' | 'failed'): void;
    cacheRemoved(objects: number): void;
  };
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** How often each namespace's cache is looked through. */
const EVERY_MS = 60 * 60_000;
/** What one request removes, and what may be removed after a build has begun. */
const BATCH = 1000;

/**
 * Keeps the caches of compressed members within age and size. A namespace with a build at work is
 * passed over until the next round: what that build has just found in the cache must stay.
 */
export class CacheSweep {
  readonly #options: CacheSweepOptions;

  constructor(options: CacheSweepOptions) {
    this.#options = options;
  }

  /** Goes round until the signal aborts. The first round is somewhere in the first interval. */
  async run(signal: AbortSignal): Promise<void> {
    const { random } = this.#options;
    let wait = EVERY_MS * random();
    try {
      for (;;) {
        await sleep(wait, undefined, { signal });
        await this.round(signal);
        wait = EVERY_MS * (0.9 + 0.2 * random());
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Looks through the cache of each namespace once. A failure is counted and told, and ends that namespace's turn alone. */
  async round(signal: AbortSignal): Promise<void> {
    const { namespaces, metrics, logger } = this.#options;
    for (const namespace of namespaces()) {
      signal.throwIfAborted();
      try {
        const removed = await this.#sweep(namespace, signal);
        metrics.swept('succeeded');
        if (removed > 0) logger.info('removed cache entries', { namespace, objects: removed });
      } catch (error) {
        signal.throwIfAborted();
        metrics.swept('failed');
        logger.warn('cannot clean the cache', { namespace, error: messageOf(error) });
      }
    }
  }

  async #sweep(namespace: string, signal: AbortSignal): Promise<number> {
    const { store, limits, clock, isBuilding, metrics } = this.#options;
    if (isBuilding(namespace)) return 0;
    const entries = await listNamespaceCache(store, namespace, { signal });
    const garbage = collectCache(entries, new Date(clock.now()), limits);
    let removed = 0;
    while (removed < garbage.length && !isBuilding(namespace)) {
      const batch = garbage.slice(removed, removed + BATCH);
      await store.delete(batch, { signal });
      removed += batch.length;
      metrics.cacheRemoved(batch.length);
    }
    return removed;
  }
}
