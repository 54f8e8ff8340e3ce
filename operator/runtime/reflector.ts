import { messageOf } from '../errors.ts';
import type { ApiClient } from './api-client.ts';
import { ApiError, detailsOf, isGone } from './api-error.ts';
import type { Selection } from './api-options.ts';
import { Backoff } from './backoff.ts';
import { type Clock, type Random, sleep } from './clock.ts';
import type { Logger } from './logger.ts';
import type { WatchMetrics, WatchRestart } from './metrics.ts';
import type { KubeObject, Stored } from './objects.ts';
import { type Resource, resourceName } from './resources.ts';

/** Where a {@link Reflector} puts what it sees. Called in order, never concurrently. */
export interface ReflectorSink<T extends KubeObject> {
  /** Everything there is, after a list. */
  replace(objects: readonly Stored<T>[]): void;
  put(object: Stored<T>): void;
  remove(object: Stored<T>): void;
}

export interface ReflectorOptions extends Selection {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: WatchMetrics;
}

/** A watch is asked to end after this many seconds, plus up to as many again: watches must not end all at once. */
const WATCH_SECONDS = 300;
/** Bookmarks come about once a minute; silence for three says that the connection leads nowhere. */
const SILENCE_AFTER_BOOKMARK_MS = 180_000;
/** Without a bookmark yet, only outliving its own end proves a watch dead. */
const SILENCE_AFTER_END_MS = 30_000;
const LIST_TIMEOUT_MS = 120_000;
/** A watch that lasted this long was healthy: what ended it starts the backoff anew. */
const HEALTHY_MS = 10_000;

/**
 * Lists a resource, then watches it from there, for as long as it runs ("Efficient detection of
 * changes", Kubernetes API concepts): resumes from the last resource version it saw, bookmarks
 * included; lists anew when the server has forgotten that version (410, as HTTP status or as
 * ERROR event); backs off with jitter from everything else; and gives up a connection that has
 * gone silent.
 */
export class Reflector<T extends KubeObject> {
  readonly #client: ApiClient;
  readonly #type: Resource<T>;
  readonly #sink: ReflectorSink<T>;
  readonly #options: ReflectorOptions;
  readonly #backoff: Backoff;
  #lastHeard: number | undefined;

  constructor(client: ApiClient, type: Resource<T>, sink: ReflectorSink<T>, options: ReflectorOptions) {
    this.#client = client;
    this.#type = type;
    this.#sink = sink;
    this.#options = options;
    this.#backoff = new Backoff({ baseMs: 500, maxMs: 30_000, random: options.random });
  }

  get lastHeard(): number | undefined {
    return this.#lastHeard;
  }

  /** Resolves when the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { logger, metrics } = this.#options;
    const resource = resourceName(this.#type);
    let version: string | undefined;
    let why: 'start' | 'gone' = 'start';
    while (!signal.aborted) {
      let restart: WatchRestart = 'expired';
      const started = this.#options.clock.monotonic();
      try {
        if (version === undefined) {
          version = await this.#list(signal);
          metrics.listed(resource, why);
          why = 'gone';
        }
        for await (const next of this.#watch(version, signal)) version = next;
      } catch (error) {
        if (signal.aborted) return;
        if (isGone(error)) {
          version = undefined;
          restart = 'gone';
        } else {
          restart = error instanceof SilenceError ? 'stale' : 'error';
          logger.warn('watch interrupted', { resource, reason: restart, error: messageOf(error) });
        }
      }
      if (signal.aborted) return;
      metrics.restarted(resource, restart);
      if (this.#options.clock.monotonic() - started >= HEALTHY_MS) this.#backoff.reset();
      // A watch that just ran out is opened again at once, unless the server ends it each time at once.
      if (restart === 'expired' && this.#backoff.attempts === 0) {
        this.#backoff.next();
        continue;
      }
      try {
        await sleep(this.#options.clock, this.#backoff.next(), signal);
      } catch {
        return;
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const selection = this.#selection();
    const objects: Stored<T>[] = [];
    let version = '';
    try {
      for await (const page of this.#client.pages(this.#type, {
        ...selection,
        signal,
        timeoutMs: LIST_TIMEOUT_MS,
      })) {
        this.#hear();
        objects.push(...page.items);
        version = page.resourceVersion;
      }
    } catch (error) {
      if (!isGone(error)) throw error;
      // The pages' snapshot was compacted while we read: too many changes for paging. One large page always works.
      const page = await this.#client.list(this.#type, {
        ...selection,
        signal,
        timeoutMs: LIST_TIMEOUT_MS,
        pageSize: 0,
      });
      this.#hear();
      this.#sink.replace(page.items);
      return page.resourceVersion;
    }
    this.#sink.replace(objects);
    return version;
  }

  /** One watch; yields the version to resume from after each event. */
  async *#watch(version: string, signal: AbortSignal): AsyncGenerator<string> {
    const { clock, random } = this.#options;
    const timeoutSeconds = Math.round(WATCH_SECONDS * (1 + random()));
    using watchdog = new Watchdog(clock, signal, timeoutSeconds * 1000 + SILENCE_AFTER_END_MS);
    const events = this.#client.watch(this.#type, {
      ...this.#selection(),
      resourceVersion: version,
      timeoutSeconds,
      signal: watchdog.signal,
      heard: () => {
        watchdog.feed();
        this.#hear();
      },
    });
    for await (const event of events) {
      switch (event.type) {
        case 'ADDED':
        case 'MODIFIED':
          this.#sink.put(event.object);
          break;
        case 'DELETED':
          this.#sink.remove(event.object);
          break;
        case 'BOOKMARK':
          watchdog.tighten(SILENCE_AFTER_BOOKMARK_MS);
          break;
        case 'ERROR':
          throw watchError(this.#type, event.object);
      }
      yield event.object.metadata.resourceVersion;
    }
  }

  #selection(): Selection {
    const { namespace, labelSelector, fieldSelector, metadataOnly } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(metadataOnly === undefined ? {} : { metadataOnly }),
    };
  }

  #hear(): void {
    this.#lastHeard = this.#options.clock.monotonic();
    this.#options.metrics.heard(resourceName(this.#type), this.#options.clock.now() / 1000);
  }
}

function watchError(type: Resource<KubeObject>, status: unknown): ApiError {
  const details = detailsOf(status);
  const { code } = (status ?? {}) as { code?: unknown };
  const gone = code === 410 || details.reason === 'Expired' || details.reason === 'Gone';
  return new ApiError(
    gone ? 'Gone' : 'ServerError',
    `watch ${resourceName(type)}: the server ended the watch: ${details.message ?? 'no reason given'}`,
    details,
  );
}

class SilenceError extends Error {}

/** Aborts when it is not fed for a while. */
class Watchdog implements Disposable {
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  #silenceMs: number;
  #timer: Disposable;
  #fed: number;

  constructor(clock: Clock, parent: AbortSignal, silenceMs: number) {
    this.#clock = clock;
    this.#parent = parent;
    this.#silenceMs = silenceMs;
    this.#fed = clock.monotonic();
    this.#timer = clock.timer(silenceMs, this.#look);
    if (parent.aborted) this.#onParent();
    else parent.addEventListener('abort', this.#onParent, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  feed(): void {
    this.#fed = this.#clock.monotonic();
  }

  tighten(silenceMs: number): void {
    if (silenceMs >= this.#silenceMs) return;
    this.#silenceMs = silenceMs;
    this.#timer[Symbol.dispose]();
    this.#timer = this.#clock.timer(silenceMs, this.#look);
  }

  /** Fed thousands of times a second at worst: so the timer is only moved on when it fires. */
  readonly #look = (): void => {
    const left = this.#fed + this.#silenceMs - this.#clock.monotonic();
    if (left > 0) this.#timer = this.#clock.timer(left, this.#look);
    else this.#controller.abort(new SilenceError(`nothing was heard for ${this.#silenceMs / 1000} s`));
  };

  readonly #onParent = (): void => {
    this.#controller.abort(this.#parent.reason);
  };

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#parent.removeEventListener('abort', this.#onParent);
  }
}
