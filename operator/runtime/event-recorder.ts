import { messageOf } from '../errors.ts';
import type { ApiClient } from './api-client.ts';
import { isConflict, isNotFound } from './api-error.ts';
import { type Clock, microTime, SYSTEM_CLOCK } from './clock.ts';
import { type Logger, SILENT_LOGGER } from './logger.ts';
import type { KubeObject, Stored } from './objects.ts';
import { type Resource, resource } from './resources.ts';

/** An events.k8s.io/v1 Event, as far as we write it. */
interface EventObject extends KubeObject {
  readonly eventTime: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly action: string;
  readonly reason: string;
  readonly type: 'Normal' | 'Warning';
  readonly note: string;
  readonly regarding: ObjectReference;
  readonly related?: ObjectReference;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

const EVENTS: Resource<EventObject> = resource({
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
});

export interface EventToRecord {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase; the same as the condition's where there is one. */
  readonly reason: string;
  /** What the controller did or tried, CamelCase: `Build`, `Cancel`, `Delete`. */
  readonly action: string;
  /** For people. Cut to 1,024 bytes. */
  readonly note: string;
  /** Another object that took part, a Job for instance. */
  readonly related?: KubeObject;
}

/** Says what a controller did, where `kubectl describe` shows it. Never waits and never fails. */
export interface EventRecorder {
  record(regarding: Stored<KubeObject>, event: EventToRecord): void;
}

export interface ApiEventRecorderOptions {
  /** A qualified name, `linuxkit.dev/image-controller`. */
  readonly controller: string;
  /** The pod. At most 128 characters. */
  readonly instance: string;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** Repeats within this time are counted on the first event instead of making new ones. */
const SERIES_MS = 6 * 60_000;
/** An object may cause this many events at once, and one more every so often. */
const BURST = 25;
const REFILL_MS = 60_000;
/** Events waiting for the API server; those beyond are lost, which is what events may be. */
const QUEUE_LIMIT = 1000;
const KNOWN_LIMIT = 5000;
const NOTE_LIMIT = 1024;

interface Known {
  readonly name: string;
  readonly namespace: string;
  count: number;
  lastAt: number;
  /** An update of its count waits to be written. */
  counting: boolean;
}

/** Writes events through the API, in the background, one after the other. */
export class ApiEventRecorder implements EventRecorder {
  readonly #client: ApiClient;
  readonly #options: ApiEventRecorderOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #known = new Map<string, Known>();
  readonly #budgets = new Map<string, { tokens: number; at: number }>();
  readonly #queue: (() => Promise<void>)[] = [];
  #wake = Promise.withResolvers<void>();
  #sequence = 0;
  #dropped = 0;

  constructor(client: ApiClient, options: ApiEventRecorderOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#logger = options.logger ?? SILENT_LOGGER;
  }

  record(regarding: Stored<KubeObject>, event: EventToRecord): void {
    const now = this.#clock.now();
    const key = JSON.stringify([regarding.metadata.uid, event.type, event.reason, event.action, event.note]);
    const known = this.#known.get(key);
    if (known !== undefined && now - known.lastAt < SERIES_MS) {
      known.count++;
      known.lastAt = now;
      // Telling the count at 2, 4, 8, … keeps it honest at a bounded price.
      if (known.counting || (known.count & (known.count - 1)) !== 0) return;
      known.counting = true;
      this.#enqueue(() => this.#countUp(known));
      return;
    }
    if (!this.#allowed(regarding.metadata.uid, now)) {
      this.#dropped++;
      return;
    }
    const object = this.#event(regarding, event, now);
    const namespace = object.metadata.namespace ?? 'default';
    remember(this.#known, key, {
      name: object.metadata.name,
      namespace,
      count: 1,
      lastAt: now,
      counting: false,
    });
    this.#enqueue(async () => {
      await this.#client.create(EVENTS, object, { signal: AbortSignal.timeout(10_000) });
    });
  }

  /** Writes what is recorded until the signal aborts, then what is left, for at most two seconds. */
  async run(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#wake.resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    let until = Number.POSITIVE_INFINITY;
    for (;;) {
      if (signal.aborted) until = Math.min(until, this.#clock.monotonic() + 2_000);
      const write = this.#queue.shift();
      if (write === undefined) {
        if (signal.aborted) break;
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
        continue;
      }
      if (this.#clock.monotonic() > until) break;
      try {
        await write();
      } catch (error) {
        this.#logger.debug('an event was lost', { error: messageOf(error) });
      }
    }
    signal.removeEventListener('abort', onAbort);
    if (this.#dropped > 0) this.#logger.debug('events were held back', { dropped: this.#dropped });
  }

  #enqueue(write: () => Promise<void>): void {
    if (this.#queue.length >= QUEUE_LIMIT) {
      this.#queue.shift();
      this.#dropped++;
    }
    this.#queue.push(write);
    this.#wake.resolve();
  }

  async #countUp(known: Known): Promise<void> {
    known.counting = false;
    const series = { count: known.count, lastObservedTime: microTime(known.lastAt) };
    try {
      await this.#client.patch(EVENTS, known, { series }, { signal: AbortSignal.timeout(10_000) });
    } catch (error) {
      // The first one has expired (after an hour, by default), or is being written still.
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  #event(regarding: Stored<KubeObject>, event: EventToRecord, now: number): EventObject {
    const { name, namespace } = regarding.metadata;
    const suffix = `.${now.toString(16)}${(this.#sequence++ & 0xffff).toString(16).padStart(4, '0')}`;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${name.slice(0, 253 - suffix.length)}${suffix}`, namespace: namespace ?? 'default' },
      eventTime: microTime(now),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance.slice(0, 128),
      action: event.action,
      reason: event.reason,
      type: event.type,
      note: cut(event.note, NOTE_LIMIT),
      regarding: referenceTo(regarding),
      ...(event.related === undefined ? {} : { related: referenceTo(event.related) }),
    };
  }

  /** A token bucket an object: one that flaps must not fill etcd. */
  #allowed(uid: string, now: number): boolean {
    const budget = this.#budgets.get(uid) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, budget.tokens + (now - budget.at) / REFILL_MS);
    remember(this.#budgets, uid, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    return tokens >= 1;
  }
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= KNOWN_LIMIT) return;
  const oldest = map.keys().next();
  if (oldest.done !== true) map.delete(oldest.value);
}

function referenceTo(object: KubeObject): ObjectReference {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

/** At most `limit` bytes of UTF-8, at a character's end; the API server counts bytes. */
function cut(text: string, limit: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= limit) return text;
  let end = limit - 3;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.subarray(0, end).toString('utf8')}…`;
}
