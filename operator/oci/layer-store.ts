import { OciError } from './errors.ts';
import { indexLayer, LAYER_LIMITS, type LayerIndexer, type LayerLimits } from './layer.ts';
import type { IndexedLayer } from './layer-index.ts';
import { formatReference } from './reference.ts';
import type { ImageSource } from './source.ts';
import { BlockCache, openSpool, type Spool } from './spool.ts';
import type { Descriptor, Digest, ImageReference, ResolvedImage } from './types.ts';

export interface LayerStoreOptions {
  readonly source: ImageSource;
  /** Where spools are kept; must hold all layers that are open at once, uncompressed. */
  readonly directory: string;
  readonly limits?: LayerLimits;
  /** Where layers are uncompressed; by default in the thread that holds the store. */
  readonly indexer?: LayerIndexer;
  /** Layers that are pulled at once. */
  readonly concurrency?: number;
  /** Told when a blob begins to be pulled; what it gives is called when that has ended, well or not. */
  readonly onPull?: OnPull;
}

export type OnPull = (blob: Descriptor) => (problem?: unknown) => void;

/** The layers of an image, held until they are disposed of. */
export interface HeldLayers extends AsyncDisposable {
  /** Lowest first, as `flatten` wants them. */
  readonly layers: readonly IndexedLayer[];
}

/** Blobs as they are in the registry, held until they are disposed of. */
export interface HeldBlobs extends AsyncDisposable {
  /** In the order of the descriptors. */
  readonly spools: readonly Spool[];
}

interface Pull {
  holders: number;
  readonly abort: AbortController;
  /** Ends with the layer, or with the failure of the pull. Its spool is closed in the second case. */
  readonly layer: Promise<IndexedLayer>;
}

/**
 * Pulls layers, each once however many images and callers want it at the same time, several at
 * once. A layer stays on disk as long as somebody holds it.
 */
export class LayerStore implements AsyncDisposable {
  readonly #source: ImageSource;
  readonly #directory: string;
  readonly #limits: LayerLimits;
  readonly #indexer: LayerIndexer;
  readonly #slots: Slots;
  readonly #onPull: OnPull;
  readonly #cache = new BlockCache();
  readonly #pulls = new Map<string, Pull>();
  #bytesPulled = 0;

  constructor({ source, directory, limits, indexer, concurrency = 3, onPull }: LayerStoreOptions) {
    this.#source = source;
    this.#directory = directory;
    this.#limits = limits ?? LAYER_LIMITS;
    this.#indexer = indexer ?? indexLayer;
    this.#slots = new Slots(concurrency);
    this.#onPull = onPull ?? (() => () => undefined);
  }

  /** Bytes of the blobs that were pulled so far. */
  get bytesPulled(): number {
    return this.#bytesPulled;
  }

  /** Pulls what is not there yet. If one layer fails the others are given up, and nothing is held. */
  async hold(image: ResolvedImage, signal: AbortSignal): Promise<HeldLayers> {
    signal.throwIfAborted();
    const { diffIds } = image.config;
    if (diffIds.length !== image.layers.length) {
      throw new OciError(
        'InvalidManifest',
        `${formatReference(image.reference)}: layers and diff_ids differ in number`,
      );
    }
    const held = image.layers.map((descriptor, at) =>
      this.#take(image, descriptor, diffIds[at] ?? descriptor.digest),
    );
    const release = async (): Promise<void> => {
      await Promise.all(held.splice(0).map(([key, pull]) => this.#release(key, pull)));
    };
    try {
      const layers = await aborted(Promise.all(held.map(([, pull]) => pull.layer)), signal);
      return { layers, [Symbol.asyncDispose]: release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** Pulls blobs as they are, verified. If one fails nothing is held. */
  async holdBlobs(
    reference: ImageReference,
    descriptors: readonly Descriptor[],
    signal: AbortSignal,
  ): Promise<HeldBlobs> {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const pulls = descriptors.map((descriptor) =>
      this.#slots.run(either, () => this.#pullBlob(reference, descriptor, either)),
    );
    const release = async (): Promise<void> => {
      stop.abort(new Error('the blobs are no longer wanted'));
      for (const pull of await Promise.allSettled(pulls))
        if (pull.status === 'fulfilled') await pull.value[Symbol.asyncDispose]();
    };
    try {
      return { spools: await Promise.all(pulls), [Symbol.asyncDispose]: release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  async #pullBlob(reference: ImageReference, descriptor: Descriptor, signal: AbortSignal): Promise<Spool> {
    const spool = await openSpool(this.#directory, this.#cache);
    const ended = this.#onPull(descriptor);
    try {
      for await (const chunk of this.#source.openBlob(reference, descriptor, signal))
        await spool.append(chunk);
      this.#bytesPulled += descriptor.size;
      ended();
      return spool;
    } catch (error) {
      ended(error);
      await spool[Symbol.asyncDispose]();
      throw error;
    }
  }

  #take(image: ResolvedImage, descriptor: Descriptor, diffId: Digest): readonly [string, Pull] {
    const key = `${descriptor.digest} ${diffId}`;
    const known = this.#pulls.get(key);
    if (known !== undefined && !known.abort.signal.aborted) {
      known.holders++;
      return [key, known];
    }
    const abort = new AbortController();
    const layer = this.#slots.run(abort.signal, () => this.#pull(image, descriptor, diffId, abort.signal));
    // Whoever waits for it sees the failure; a pull that nobody waits for any more must not crash the process.
    layer.catch(() => undefined);
    const pull: Pull = { holders: 1, abort, layer };
    this.#pulls.set(key, pull);
    return [key, pull];
  }

  async #release(key: string, pull: Pull): Promise<void> {
    if (--pull.holders !== 0) return;
    if (this.#pulls.get(key) === pull) this.#pulls.delete(key);
    pull.abort.abort(new Error('the layer is no longer wanted'));
    const layer = await pull.layer.catch(() => undefined);
    await layer?.spool[Symbol.asyncDispose]();
  }

  async #pull(
    image: ResolvedImage,
    descriptor: Descriptor,
    diffId: Digest,
    signal: AbortSignal,
  ): Promise<IndexedLayer> {
    const spool: Spool = await openSpool(this.#directory, this.#cache);
    const ended = this.#onPull(descriptor);
    try {
      const blob = this.#source.openBlob(image.reference, descriptor, signal);
      const layer = await this.#indexer(descriptor, blob, diffId, spool, signal, this.#limits);
      this.#bytesPulled += descriptor.size;
      ended();
      return layer;
    } catch (error) {
      ended(error);
      await spool[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Gives up every pull that is under way and frees the disk, whoever still holds layers. */
  async [Symbol.asyncDispose](): Promise<void> {
    const pulls = [...this.#pulls];
    for (const [, pull] of pulls) pull.holders = 1;
    await Promise.all(pulls.map(([key, pull]) => this.#release(key, pull)));
  }
}

/** Lets so many tasks run at once; the others wait in the order in which they came. */
class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(slots: number) {
    this.#free = slots;
  }

  async run<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

/** The promise's outcome, or the signal's reason if that comes first. */
async function aborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: cancelled, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, cancelled]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
