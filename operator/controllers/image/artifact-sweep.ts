import type { LinuxKitImage } from '../../api/image.ts';
import { type Digest, isDigest } from '../../oci/types.ts';
import type { Clock, Random } from '../../runtime/clock.ts';
import { listArtifacts, removeArtifact } from '../../storage/artifacts.ts';
import { collectGarbage } from '../../storage/garbage.ts';
import type { ObjectStore } from '../../storage/store.ts';

export interface SweepOptions {
  readonly store: Pick<ObjectStore, 'list' | 'delete'>;
  /** Nothing younger is removed: it may be in the course of being written, or of being given to a machine. */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** An image whose artifacts have not changed is looked through this often. */
const IDLE_MS = 60 * 60_000;
/** Spread of the first look after a start, so that a new leader does not list the whole bucket at once. */
const FIRST_MS = 10 * 60_000;

/** Removes stored artifacts that neither status names nor a machine holds. */
export class ArtifactSweep {
  readonly #options: SweepOptions;
  readonly #next = new Map<string, number>();

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  forget(uid: string): void {
    this.#next.delete(uid);
  }

  /** Look at this image's artifacts again soon: what is kept has changed. */
  hasten(uid: string): void {
    this.#next.set(uid, 0);
  }

  /** Milliseconds until the next look. */
  dueIn(uid: string): number {
    const now = this.#options.clock.now();
    let next = this.#next.get(uid);
    if (next === undefined) {
      next = now + FIRST_MS * this.#options.random();
      this.#next.set(uid, next);
    }
    return Math.max(0, next - now);
  }

  /** Removes what may go, and gives it. `kept` holds digests. */
  async sweep(
    image: LinuxKitImage,
    kept: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<readonly Digest[]> {
    const { store, graceMs, clock, random } = this.#options;
    const { namespace, name, uid } = image.metadata;
    const now = clock.now();
    const stored = await listArtifacts(store, { namespace, image: name }, { signal });
    const digests = new Set([...kept].filter(isDigest));
    const garbage = collectGarbage(stored, digests, new Date(now), graceMs);
    for (const digest of garbage) await removeArtifact(store, { namespace, image: name, digest }, { signal });
    const ripening = stored.filter(({ digest }) => !digests.has(digest) && !garbage.includes(digest));
    const ripe = ripening.map(({ modified }) => (modified?.getTime() ?? now) + graceMs + 1000);
    this.#next.set(uid, Math.min(now + IDLE_MS * (1 + 0.2 * random()), ...ripe));
    return garbage;
  }
}
