import type { KubeObject, Stored } from '../../runtime/objects.ts';

/** How long an object that the cache does not show is believed to be there because we wrote it. */
const BELIEF_MS = 30_000;

/**
 * What we wrote and the caches may not show yet. A decision made from before our own writes would
 * take back what the one before it did; so each object is read in the newer of both forms.
 */
export class OwnWrites<T extends KubeObject> {
  readonly #written = new Map<string, { readonly object: Stored<T>; readonly at: number }>();
  readonly #now: () => number;

  /** `now` in milliseconds, of a clock that does not run backwards. */
  constructor(now: () => number) {
    this.#now = now;
  }

  remember(object: Stored<T>): void {
    this.#written.set(object.metadata.uid, { object, at: this.#now() });
  }

  forget(uid: string): void {
    this.#written.delete(uid);
  }

  /** The newer form. */
  newest(cached: Stored<T>): Stored<T> {
    const written = this.#written.get(cached.metadata.uid);
    if (written === undefined) return cached;
    if (!isOlder(cached, written.object)) {
      this.#written.delete(cached.metadata.uid);
      return cached;
    }
    return written.object;
  }

  /** The objects of a list in their newer forms, and those that we wrote, that are in no cache yet, and that `belongs`. */
  merge(cached: readonly Stored<T>[], belongs: (object: Stored<T>) => boolean): readonly Stored<T>[] {
    const present = new Set(cached.map((object) => object.metadata.uid));
    const missing: Stored<T>[] = [];
    for (const [uid, { object, at }] of this.#written) {
      if (present.has(uid) || !belongs(object)) continue;
      // Gone again, before the cache ever had it, or after.
      if (this.#now() - at > BELIEF_MS) this.#written.delete(uid);
      else missing.push(object);
    }
    return [...cached.map((object) => this.newest(object)), ...missing];
  }
}

/** Resource versions are numbers that grow (Kubernetes 1.35, KEP-5504); others are not compared. */
function isOlder(one: Stored<KubeObject>, other: Stored<KubeObject>): boolean {
  const [a, b] = [one.metadata.resourceVersion, other.metadata.resourceVersion];
  return /^\d+$/.test(a) && /^\d+$/.test(b) && BigInt(a) < BigInt(b);
}
