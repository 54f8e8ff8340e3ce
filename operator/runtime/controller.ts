import { randomUUID } from 'node:crypto';
import { CodedError, messageOf } from '../errors.ts';
import { NO_TRACER, type Span, type Tracer, traceIdOf } from '../telemetry/tracer.ts';
import { ApiError, isConflict } from './api-error.ts';
import { type Clock, type Random, SYSTEM_CLOCK } from './clock.ts';
import { Deadline } from './deadline.ts';
import type { Change, Informer } from './informer.ts';
import type { Logger } from './logger.ts';
import { type ControllerMetrics, NO_METRICS, type ReconcileOutcome, type RuntimeMetrics } from './metrics.ts';
import { type KubeObject, keyText, type ObjectKey, parseKey } from './objects.ts';
import { WorkQueue } from './work-queue.ts';

/** Nothing that time or trying again would mend: wait for a change of the object, or of what it refers to. */
export class StalledError extends CodedError {}

/** Something that is expected to come by itself; look again after `afterMs` if no event comes first. */
export class WaitingError extends CodedError {
  readonly afterMs: number;

  constructor(code: string, message: string, afterMs: number, options?: { readonly cause?: unknown }) {
    super(code, message, options);
    this.afterMs = afterMs;
  }
}

export interface ReconcileContext {
  /** Aborted at the deadline, on loss of leadership and on shutdown. */
  readonly signal: AbortSignal;
  /** Carries controller, namespace, name, reconcileID and, when traced, traceID. */
  readonly logger: Logger;
  readonly reconcileID: string;
  /** The reconcile's span, for what it begins elsewhere; undefined when nobody traces it. */
  readonly traceparent?: string | undefined;
}

/** What a reconcile that went well asks for: nothing, or to be called again after a while. */
export type ReconcileResult = { readonly requeueAfterMs?: number } | undefined | void;

/** Brings one object, and what hangs on it, to what its spec says. Called again for any reason at any time. */
export type Reconcile = (key: ObjectKey, context: ReconcileContext) => Promise<ReconcileResult>;

export interface ControllerOptions {
  readonly name: string;
  readonly reconcile: Reconcile;
  readonly logger: Logger;
  /** Reconciles at a time. Default 4. */
  readonly workers?: number;
  /** Default 60 s. */
  readonly reconcileTimeoutMs?: number;
  readonly metrics?: RuntimeMetrics;
  readonly tracer?: Tracer;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Backoff of one object: doubles from the first to the second. Default 100 ms to 5 min. */
  readonly retryBaseMs?: number;
  readonly retryMaxMs?: number;
}

/**
 * A queue, informers that fill it, and workers that empty it.
 *
 * The errors of a reconcile decide what follows: {@link StalledError} waits for a change,
 * {@link WaitingError} looks again after its time, a conflict (someone else changed the object
 * first) is no failure but comes back, and everything else is a failure and backs off, doubling.
 */
export class Controller {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;
  readonly #workers: number;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #metrics: ControllerMetrics;
  readonly #tracer: Tracer;
  readonly #informers = new Set<{
    readonly hasSynced: boolean;
    waitForSync(signal: AbortSignal): Promise<void>;
  }>();
  #active = 0;

  constructor(options: ControllerOptions) {
    const metrics = options.metrics ?? NO_METRICS;
    this.name = options.name;
    this.#options = options;
    this.#workers = options.workers ?? 4;
    this.#timeoutMs = options.reconcileTimeoutMs ?? 60_000;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#metrics = metrics.controller(options.name);
    this.#tracer = options.tracer ?? NO_TRACER;
    this.queue = new WorkQueue({
      clock: this.#clock,
      metrics: metrics.queue(options.name),
      ...(options.random === undefined ? {} : { random: options.random }),
      ...(options.retryBaseMs === undefined ? {} : { baseMs: options.retryBaseMs }),
      ...(options.retryMaxMs === undefined ? {} : { maxMs: options.retryMaxMs }),
    });
  }

  /**
   * Every change of the informer's objects queues the keys that `keysOf` names; `undefined`s are
   * left out. The workers wait until the informer has synced.
   */
  watches<T extends KubeObject>(
    informer: Informer<T>,
    keysOf: (change: Change<T>) => Iterable<ObjectKey | undefined>,
  ): void {
    this.#informers.add(informer);
    informer.onChange((change) => {
      for (const key of keysOf(change)) if (key !== undefined) this.queue.add(keyText(key));
    });
  }

  get hasSynced(): boolean {
    return [...this.#informers].every((informer) => informer.hasSynced);
  }

  /** Works until the signal aborts; then lets running reconciles end (their signals are aborted) and resolves. */
  async run(signal: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    const onAbort = (): void => void this.queue.close();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.all([...this.#informers].map((informer) => informer.waitForSync(signal)));
      this.#metrics.workers(this.#workers, 0);
      logger.info('controller started', { controller: this.name, workers: this.#workers });
      await Promise.all(Array.from({ length: this.#workers }, () => this.#work(signal)));
      logger.info('controller stopped', { controller: this.name });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      await this.queue.close();
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const key = await this.queue.take();
      if (key === undefined) return;
      this.#metrics.workers(this.#workers, ++this.#active);
      try {
        await this.#reconcile(key, signal);
      } finally {
        this.queue.done(key);
        this.#metrics.workers(this.#workers, --this.#active);
      }
    }
  }

  /** One reconcile and what follows from it. Never throws. */
  async #reconcile(text: string, signal: AbortSignal): Promise<void> {
    const key = parseKey(text);
    const reconcileID = randomUUID();
    const span = this.#tracer.start(`reconcile ${this.name}`, {
      attributes: {
        'linuxkit.controller': this.name,
        'k8s.namespace.name': key.namespace ?? '',
        'linuxkit.name': key.name,
        'linuxkit.reconcile.id': reconcileID,
        'linuxkit.queue.seconds': this.queue.waited(text),
      },
    });
    const { traceparent } = span;
    const logger = this.#options.logger.with({
      controller: this.name,
      namespace: key.namespace,
      name: key.name,
      reconcileID,
      traceID: traceIdOf(traceparent),
    });
    const started = this.#clock.monotonic();
    const seconds = (): number => (this.#clock.monotonic() - started) / 1000;
    const late = new WaitingError(
      'DeadlineExceeded',
      `the reconcile took longer than ${this.#timeoutMs / 1000} s`,
      0,
    );
    using deadline = new Deadline(this.#clock, signal, this.#timeoutMs, () => late);
    try {
      const context = { signal: deadline.signal, logger, reconcileID, traceparent };
      const result = await this.#options.reconcile(key, context);
      this.queue.forget(text);
      const after = result?.requeueAfterMs;
      if (after !== undefined) this.queue.addAfter(text, after);
      const outcome = after === undefined ? 'success' : 'requeue_after';
      this.#metrics.reconciled(outcome, seconds());
      ended(span, outcome);
    } catch (error) {
      if (signal.aborted) {
        span.end('the controller stops');
        return;
      }
      if (deadline.signal.aborted) this.#metrics.timedOut();
      const outcome = this.#failed(text, error, logger, seconds());
      ended(span, outcome, outcome === 'error' ? messageOf(error) : undefined);
    }
  }

  #failed(key: string, error: unknown, logger: Logger, seconds: number): ReconcileOutcome {
    if (isConflict(error)) {
      // Our copy was old. The change that made it so is on its way; a short wait lets it arrive.
      this.queue.retry(key);
      this.#metrics.reconciled('requeue_after', seconds);
      logger.debug('conflict, trying again', { error: messageOf(error) });
      return 'requeue_after';
    }
    if (error instanceof WaitingError && error.afterMs > 0) {
      this.queue.forget(key);
      this.queue.addAfter(key, error.afterMs);
      this.#metrics.reconciled('requeue_after', seconds);
      logger.debug('waiting', { code: error.code, reason: error.message, afterMs: error.afterMs });
      return 'requeue_after';
    }
    this.#metrics.reconciled('error', seconds);
    if (error instanceof StalledError) {
      this.queue.forget(key);
      this.#metrics.stalled();
      logger.warn('stalled until something changes', { code: error.code, error: error.message });
      return 'error';
    }
    const afterMs = this.queue.retry(key);
    if (error instanceof ApiError || error instanceof CodedError) {
      logger.warn('reconcile failed', {
        code: error.code,
        error: error.message,
        retryAfterMs: Math.round(afterMs),
      });
    } else {
      // Not one of our errors: a bug. It costs this object a retry, and the process nothing.
      this.#metrics.panicked();
      const stack = error instanceof Error ? error.stack : undefined;
      logger.error('reconcile threw', { error: messageOf(error), stack, retryAfterMs: Math.round(afterMs) });
    }
    return 'error';
  }
}

function ended(span: Span, outcome: ReconcileOutcome, problem?: string): void {
  span.set({ 'linuxkit.reconcile.result': outcome });
  span.end(problem);
}
