import { findCondition, RECONCILING } from '../../api/conditions.ts';
import { BUILD_REASONS } from '../../api/image.ts';
import { keyText, type ObjectKey, type Stored } from '../../runtime/objects.ts';
import type { Job } from '../../runtime/resources.ts';
import type { ImageObject } from './objects.ts';
import { admit, type QueueLimits, type QueueView, type WaitingBuild } from './queue.ts';

/** A build that was let begin and whose Job the cache has not shown for so long will have none. */
const RESERVED_MS = 60_000;

interface Reservation {
  readonly namespace: string;
  readonly job: string;
  readonly at: number;
}

/**
 * The queue as the caches show it. What waits and since when is in the images' status, what runs are
 * Jobs: nothing of it is lost with a manager. Only the Jobs that were just made, and that the cache
 * does not show yet, are remembered here, or two builds would be let into the same place.
 */
export class BuildQueue {
  readonly #limits: QueueLimits;
  readonly #images: () => readonly Stored<ImageObject>[];
  readonly #jobs: () => readonly Stored<Job>[];
  /** By key of the image. */
  readonly #reserved = new Map<string, Reservation>();

  constructor(
    limits: QueueLimits,
    caches: {
      readonly images: { list(): readonly Stored<ImageObject>[] };
      readonly jobs: { list(): readonly Stored<Job>[] };
    },
  ) {
    this.#limits = limits;
    this.#images = () => caches.images.list();
    this.#jobs = () => caches.jobs.list();
  }

  /** `now` in milliseconds since the epoch. */
  view(now: number): QueueView {
    const jobs = this.#jobs();
    const known = new Set(jobs.map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`));
    for (const [key, { namespace, job, at }] of this.#reserved) {
      if (known.has(`${namespace}/${job}`) || now - at > RESERVED_MS) this.#reserved.delete(key);
    }
    const running = new Map<string, number>();
    const count = (namespace: string): void => void running.set(namespace, (running.get(namespace) ?? 0) + 1);
    for (const job of jobs) if (isAtWork(job)) count(job.metadata.namespace ?? '');
    for (const { namespace } of this.#reserved.values()) count(namespace);
    const waiting = this.#images().flatMap((image) => waitingBuild(image, known) ?? []);
    return {
      now,
      waiting: waiting.filter(({ key }) => !this.#reserved.has(key)),
      running,
      limits: this.#limits,
    };
  }

  /** As the image of `key` sees it: undefined if it was let begin already, and its Job is on its way. */
  viewFor(key: ObjectKey, now: number): QueueView | undefined {
    const view = this.view(now);
    return this.#reserved.has(keyText(key)) ? undefined : view;
  }

  /** To be called in the same turn of the event loop as the decision that rests on the view. */
  reserve(key: ObjectKey, job: string, now: number): void {
    const text = keyText(key);
    if (this.#reserved.get(text)?.job === job) return;
    this.#reserved.set(text, { namespace: key.namespace ?? '', job, at: now });
  }

  /** Its Job could not be made, or is not wanted any more. */
  release(key: ObjectKey): void {
    this.#reserved.delete(keyText(key));
  }

  /** Images whose builds may begin now. */
  admitted(now: number): ReadonlySet<string> {
    return admit(this.view(now));
  }

  /** Is a build of this namespace, or of any, at work or about to be? */
  isBuilding(namespace: string | undefined, now: number): boolean {
    const { running } = this.view(now);
    return namespace === undefined ? running.size > 0 : (running.get(namespace) ?? 0) > 0;
  }
}

function isAtWork({ status }: Stored<Job>): boolean {
  return !status?.conditions?.some(
    ({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True',
  );
}

/**
 * Status says that a build is wanted, and that nothing but its turn is missing: one that the API server
 * refuses, or whose ConfigMap is missing, keeps no place from the others.
 */
function waitingBuild(
  { metadata, status }: Stored<ImageObject>,
  jobs: ReadonlySet<string>,
): WaitingBuild | undefined {
  const { name, namespace = '', deletionTimestamp } = metadata;
  const build = status?.build;
  if (build === undefined || deletionTimestamp !== undefined) return undefined;
  if (jobs.has(`${namespace}/${build.job}`)) return undefined;
  if (findCondition(status?.conditions, RECONCILING)?.reason !== 'BuildQueued') return undefined;
  return {
    key: keyText({ namespace, name }),
    namespace,
    reason: BUILD_REASONS.find((reason) => reason === build.reason) ?? 'Created',
    since: Date.parse(build.startTime) || 0,
  };
}
