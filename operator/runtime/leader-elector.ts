import { messageOf } from '../errors.ts';
import type { ApiClient } from './api-client.ts';
import { isAlreadyExists, isConflict, isNotFound } from './api-error.ts';
import { type Clock, microTime, type Random, SYSTEM_CLOCK, sleep } from './clock.ts';
import type { Logger } from './logger.ts';
import { type ElectionMetrics, NO_METRICS } from './metrics.ts';
import type { ObjectKey, Stored } from './objects.ts';
import { LEASES, type Lease } from './resources.ts';

export interface LeaderElectorOptions {
  readonly lease: ObjectKey & { readonly namespace: string };
  /** Unique to this process: two that share it would both believe to lead. */
  readonly identity: string;
  readonly logger: Logger;
  /** How long a silent leader keeps its lease. Default 15 s. */
  readonly leaseDurationMs?: number;
  /** After this long without a renewal the leader steps down by itself. Default 10 s. */
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
  readonly metrics?: ElectionMetrics;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** What was last seen of the lease, and when by our own monotonic clock. */
interface Observation {
  readonly lease: Stored<Lease>;
  readonly at: number;
}

/**
 * One leader among the processes that share a Lease (coordination.k8s.io/v1).
 *
 * The times written in the lease are for people: a peer's clock may be wrong. A lease has run out
 * when *we* have seen it unchanged for its duration. Writes carry the resource version that was
 * read, so of two candidates only one succeeds. A leader that cannot renew steps down before
 * anyone may take over (10 s against 15 s). This is not fencing: what leaders do must be safe
 * even if two do it.
 */
export class LeaderElector {
  readonly #client: ApiClient;
  readonly #options: LeaderElectorOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #metrics: ElectionMetrics;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  #observed: Observation | undefined;
  #leading = false;

  constructor(client: ApiClient, options: LeaderElectorOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#random = options.random ?? Math.random;
    this.#metrics = options.metrics ?? NO_METRICS.election;
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 2_000;
  }

  get isLeader(): boolean {
    return this.#leading;
  }

  /** Identity of the leader as last seen; `undefined` when there is none. */
  get leader(): string | undefined {
    const holder = this.#observed?.lease.spec?.holderIdentity;
    return holder === '' ? undefined : holder;
  }

  /**
   * Waits to become leader, calls `lead` with a signal that aborts when leadership is lost or
   * `signal` aborts, and returns when `lead` has ended: `lost` if leadership went first (the
   * process should then exit: its caches and timers belong to a leader that is no more),
   * `released` otherwise.
   */
  async run(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<'lost' | 'released'> {
    this.#metrics.leading(this.#options.lease.name, false);
    if (!(await this.#acquire(signal))) return 'released';

    this.#leading = true;
    this.#metrics.leading(this.#options.lease.name, true);
    const term = new AbortController();
    const onAbort = (): void => term.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    // Rejections of `lead` wait here until renewing has stopped too.
    const work = lead(term.signal).finally(() => term.abort());
    const settled = work.then(
      () => undefined,
      () => undefined,
    );
    try {
      const renewal = await this.#renew(term.signal);
      if (renewal === 'lost') term.abort(new Error('leadership was lost'));
      await settled;
      this.#leading = false;
      this.#metrics.leading(this.#options.lease.name, false);
      // Only now: as long as our work runs, nobody else may begin.
      if (renewal !== 'lost') await this.#release();
      await work;
      return renewal === 'lost' ? 'lost' : 'released';
    } finally {
      this.#leading = false;
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { logger, identity, lease } = this.#options;
    logger.info('waiting for leadership', { lease: lease.name, identity });
    let seen: string | undefined;
    while (!signal.aborted) {
      try {
        if (await this.#tryOnce(signal)) {
          logger.info('became leader', { lease: lease.name, identity });
          return true;
        }
        if (this.leader !== seen) {
          seen = this.leader;
          logger.info('another leads', { lease: lease.name, leader: seen });
        }
      } catch (error) {
        if (signal.aborted) return false;
        logger.warn('cannot reach the lease', { lease: lease.name, error: messageOf(error) });
      }
      try {
        await sleep(this.#clock, this.#candidateWait(), signal);
      } catch {
        return false;
      }
    }
    return false;
  }

  /** Until the next look, or until the lease runs out if that is earlier. */
  #candidateWait(): number {
    const period = this.#retryPeriodMs * (1 + 0.2 * this.#random());
    const left = this.#expiresIn();
    return left === undefined ? period : Math.min(period, Math.max(0, left) + 200 * this.#random());
  }

  #expiresIn(): number | undefined {
    if (this.#observed === undefined) return undefined;
    return this.#observed.at + this.#leaseDurationMs - this.#clock.monotonic();
  }

  /** Renews until it fails for too long (`lost`), or until the term ends (`over`). */
  async #renew(term: AbortSignal): Promise<'lost' | 'over'> {
    let renewedAt = this.#clock.monotonic();
    for (;;) {
      try {
        await sleep(this.#clock, this.#retryPeriodMs, term);
      } catch {
        return 'over';
      }
      const left = renewedAt + this.#renewDeadlineMs - this.#clock.monotonic();
      const sent = this.#clock.monotonic();
      try {
        if (left > 0 && ((await this.#renewOnce(term, left)) || (await this.#tryOnce(term, left)))) {
          // From before the request: the lease is as old as the moment we asked, not as the answer.
          renewedAt = sent;
          continue;
        }
      } catch (error) {
        if (term.aborted) return 'over';
        this.#options.logger.warn('cannot renew the lease', { error: messageOf(error) });
      }
      const holder = this.leader;
      const taken = holder !== undefined && holder !== this.#options.identity;
      if (taken || this.#clock.monotonic() - renewedAt >= this.#renewDeadlineMs) {
        this.#options.logger.error('leadership lost', { leader: holder });
        return 'lost';
      }
    }
  }

  /** Writes onto the version that we wrote last: one request. False when somebody has written since. */
  async #renewOnce(signal: AbortSignal, timeoutMs: number): Promise<boolean> {
    const current = this.#observed?.lease;
    if (current?.spec?.holderIdentity !== this.#options.identity) return false;
    try {
      const options = { signal, timeoutMs: Math.min(timeoutMs, 5_000) };
      this.#observe(await this.#client.replace(LEASES, this.#claim(current), options));
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false;
      throw error;
    }
  }

  /** Takes or renews the lease if it is ours, free, or run out. True when we hold it now. */
  async #tryOnce(signal: AbortSignal, timeoutMs = this.#renewDeadlineMs): Promise<boolean> {
    const { lease: key, identity } = this.#options;
    const options = { signal, timeoutMs: Math.min(timeoutMs, 5_000) };
    const current = await this.#client.find(LEASES, key, options);
    try {
      if (current === undefined) {
        this.#observe(await this.#client.create(LEASES, this.#claim(undefined), options));
        return true;
      }
      this.#observe(current);
      const holder = current.spec?.holderIdentity ?? '';
      if (holder !== '' && holder !== identity && (this.#expiresIn() ?? 0) > 0) return false;
      this.#observe(await this.#client.replace(LEASES, this.#claim(current), options));
      return true;
    } catch (error) {
      // Someone was faster.
      if (isConflict(error) || isAlreadyExists(error)) return false;
      throw error;
    }
  }

  /** The clock of a lease starts when we first see this version of it. */
  #observe(lease: Stored<Lease>): void {
    if (this.#observed?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return;
    this.#observed = { lease, at: this.#clock.monotonic() };
  }

  #claim(current: Stored<Lease> | undefined): Lease {
    const now = microTime(this.#clock.now());
    const { identity, lease } = this.#options;
    const mine = current?.spec?.holderIdentity === identity;
    const transitions = current?.spec?.leaseTransitions ?? 0;
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: current?.metadata ?? lease,
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.round(this.#leaseDurationMs / 1000),
        acquireTime: mine ? (current?.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: current === undefined || mine ? transitions : transitions + 1,
      },
    };
  }

  /** Gives the lease back, so that the next leader need not wait for it to run out. */
  async #release(): Promise<void> {
    const current = this.#observed?.lease;
    if (current?.spec?.holderIdentity !== this.#options.identity) return;
    const claim = this.#claim(current);
    const released: Lease = {
      ...claim,
      spec: { ...claim.spec, holderIdentity: '', leaseDurationSeconds: 1 },
    };
    try {
      await this.#client.replace(LEASES, released, {
        signal: new AbortController().signal,
        timeoutMs: 3_000,
      });
      this.#options.logger.info('leadership released');
    } catch (error) {
      this.#options.logger.warn('cannot release the lease: it will run out', { error: messageOf(error) });
    }
  }
}
