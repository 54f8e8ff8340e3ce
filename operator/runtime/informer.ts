import type { ApiClient } from './api-client.ts';
import { type Clock, type Random, SYSTEM_CLOCK } from './clock.ts';
import { type Logger, SILENT_LOGGER } from './logger.ts';
import { NO_METRICS, type WatchMetrics } from './metrics.ts';
import { type KubeObject, keyOf, keyText, type ObjectKey, type Stored } from './objects.ts';
import { Reflector, type ReflectorSink } from './reflector.ts';
import { type Resource, resourceName } from './resources.ts';

export type Change<T extends KubeObject> =
  | { readonly type: 'added'; readonly object: Stored<T> }
  | { readonly type: 'updated'; readonly object: Stored<T>; readonly old: Stored<T> }
  | { readonly type: 'deleted'; readonly object: Stored<T> };

export interface InformerOptions<T extends KubeObject> {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Holds metadata alone: for ConfigMaps, whose content nobody here may need. */
  readonly metadataOnly?: boolean;
  /** What of an object is kept. `metadata.managedFields` is dropped before. */
  readonly transform?: (object: Stored<T>) => Stored<T>;
  /** Names of indexes, each giving the keys an object is found under. `owner` and `namespace` are always there. */
  readonly indexes?: Readonly<Record<string, (object: Stored<T>) => readonly string[]>>;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
  readonly metrics?: WatchMetrics;
}

/**
 * A local copy of all objects of a kind, kept up to date by a {@link Reflector}, with indexes,
 * and handlers that hear of each change. What is read from it may be a little old: whoever acts on
 * it must do so in a way that the API server refuses when it no longer fits (names, uids,
 * resource versions), never by trusting the copy.
 */
export class Informer<T extends KubeObject> {
  readonly type: Resource<T>;
  readonly #objects = new Map<string, Stored<T>>();
  readonly #indexes = new Map<string, Index<T>>();
  readonly #handlers: ((change: Change<T>) => void)[] = [];
  readonly #transform: (object: Stored<T>) => Stored<T>;
  readonly #reflector: Reflector<T>;
  readonly #logger: Logger;
  readonly #metrics: WatchMetrics;
  readonly #synced = Promise.withResolvers<void>();
  #hasSynced = false;

  constructor(client: ApiClient, type: Resource<T>, options: InformerOptions<T> = {}) {
    this.type = type;
    this.#transform = options.transform ?? ((object) => object);
    this.#logger = options.logger ?? SILENT_LOGGER;
    this.#metrics = options.metrics ?? NO_METRICS.watch;
    this.#indexes.set('owner', new Index(ownerUids));
    this.#indexes.set('namespace', new Index(({ metadata }) => [metadata.namespace ?? '']));
    for (const [name, keysOf] of Object.entries(options.indexes ?? {}))
      this.#indexes.set(name, new Index(keysOf));
    const sink: ReflectorSink<T> = {
      replace: (objects) => this.#replace(objects),
      put: (object) => this.#put(object),
      remove: (object) => this.#remove(keyText(keyOf(object)), object),
    };
    const { namespace, labelSelector, fieldSelector, metadataOnly } = options;
    this.#reflector = new Reflector(client, type, sink, {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(metadataOnly === undefined ? {} : { metadataOnly }),
      clock: options.clock ?? SYSTEM_CLOCK,
      random: options.random ?? Math.random,
      logger: this.#logger,
      metrics: this.#metrics,
    });
  }

  /** True once the first list is in the cache. Never false again. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Monotonic milliseconds at which the server was last heard of. */
  get lastHeard(): number | undefined {
    return this.#reflector.lastHeard;
  }

  get(key: ObjectKey): Stored<T> | undefined {
    return this.#objects.get(keyText(key));
  }

  /** In no particular order. */
  list(namespace?: string): readonly Stored<T>[] {
    return namespace === undefined ? [...this.#objects.values()] : this.byIndex('namespace', namespace);
  }

  byIndex(index: string, key: string): readonly Stored<T>[] {
    const found = this.#indexes.get(index);
    if (found === undefined)
      throw new RangeError(`informer of ${resourceName(this.type)} has no index ${JSON.stringify(index)}`);
    return [...found.get(key)].flatMap((name) => this.#objects.get(name) ?? []);
  }

  /** Objects with an owner reference to this uid. */
  byOwner(uid: string): readonly Stored<T>[] {
    return this.byIndex('owner', uid);
  }

  /** Handlers run in the order of the changes, and must not wait. Objects already known are told as `added`. */
  onChange(handler: (change: Change<T>) => void): void {
    this.#handlers.push(handler);
    for (const object of this.#objects.values()) this.#call(handler, { type: 'added', object });
  }

  /** Runs until the signal aborts; failures of list and watch are tried again for ever. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#reflector.run(signal);
  }

  /** Resolves when the first list is in, rejects when the signal aborts before. */
  async waitForSync(signal: AbortSignal): Promise<void> {
    if (this.#hasSynced) return;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.#synced.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #replace(objects: readonly Stored<T>[]): void {
    const gone = new Map(this.#objects);
    for (const object of objects) {
      gone.delete(keyText(keyOf(object)));
      this.#put(object);
    }
    // These vanished while nobody watched: their last known state is all there is to tell.
    for (const [key, object] of gone) this.#remove(key, object);
    if (!this.#hasSynced) {
      this.#hasSynced = true;
      this.#synced.resolve();
    }
  }

  #put(received: Stored<T>): void {
    const object = this.#transform(withoutManagedFields(received));
    const key = keyText(keyOf(object));
    const old = this.#objects.get(key);
    if (
      old?.metadata.resourceVersion === object.metadata.resourceVersion &&
      old.metadata.uid === object.metadata.uid
    )
      return;
    if (old !== undefined && old.metadata.uid !== object.metadata.uid) {
      // Deleted and made anew between two looks: two objects, told as two.
      this.#remove(key, old);
      this.#put(received);
      return;
    }
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) index.put(key, object);
    this.#metrics.cached(resourceName(this.type), this.#objects.size);
    this.#tell(old === undefined ? { type: 'added', object } : { type: 'updated', object, old });
  }

  #remove(key: string, last: Stored<T>): void {
    if (!this.#objects.delete(key)) return;
    for (const index of this.#indexes.values()) index.delete(key);
    this.#metrics.cached(resourceName(this.type), this.#objects.size);
    this.#tell({ type: 'deleted', object: this.#transform(withoutManagedFields(last)) });
  }

  #tell(change: Change<T>): void {
    for (const handler of this.#handlers) this.#call(handler, change);
  }

  /** A handler that throws must not stop the watch for the others. */
  #call(handler: (change: Change<T>) => void, change: Change<T>): void {
    try {
      handler(change);
    } catch (error) {
      this.#logger.error('an informer handler failed', { resource: resourceName(this.type), error });
    }
  }
}

/** Object keys by some property of the objects. */
class Index<T extends KubeObject> {
  readonly #keysOf: (object: Stored<T>) => readonly string[];
  readonly #objects = new Map<string, Set<string>>();
  readonly #keys = new Map<string, readonly string[]>();

  constructor(keysOf: (object: Stored<T>) => readonly string[]) {
    this.#keysOf = keysOf;
  }

  get(key: string): ReadonlySet<string> {
    return this.#objects.get(key) ?? new Set();
  }

  put(name: string, object: Stored<T>): void {
    this.delete(name);
    const keys = this.#keysOf(object);
    if (keys.length === 0) return;
    this.#keys.set(name, keys);
    for (const key of keys) {
      const names = this.#objects.get(key);
      if (names === undefined) this.#objects.set(key, new Set([name]));
      else names.add(name);
    }
  }

  delete(name: string): void {
    for (const key of this.#keys.get(name) ?? []) {
      const names = this.#objects.get(key);
      names?.delete(name);
      if (names?.size === 0) this.#objects.delete(key);
    }
    this.#keys.delete(name);
  }
}

function ownerUids(object: KubeObject): readonly string[] {
  return object.metadata.ownerReferences?.map((reference) => reference.uid) ?? [];
}

function withoutManagedFields<T extends KubeObject>(object: Stored<T>): Stored<T> {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
