import { type ImageStatus, type LinuxKitImage, parseImage } from '../../api/image.ts';
import { FINALIZER_ARTIFACTS, LABEL_IMAGE, MANAGER_IMAGE } from '../../api/names.ts';
import { ObjectError } from '../../api/object.ts';
import type { CacheUse } from '../../build/record.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { type Clock, type Random, SYSTEM_CLOCK } from '../../runtime/clock.ts';
import {
  type ReconcileContext,
  type ReconcileResult,
  StalledError,
  WaitingError,
} from '../../runtime/controller.ts';
import type { EventRecorder } from '../../runtime/event-recorder.ts';
import type { ObjectKey, Stored } from '../../runtime/objects.ts';
import { listArtifacts, removeImage, removeNamespaceCache } from '../../storage/artifacts.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { type ApplySettings, applyAction, JobRefusedError, NameTakenError } from './apply.ts';
import { ArtifactSweep } from './artifact-sweep.ts';
import type { BuildQueue } from './build-queue.ts';
import type { ImageCaches } from './caches.ts';
import { canonicalJson } from './canonical.ts';
import {
  type BuildMeasure,
  cancelledEvent,
  type Decision,
  type DecisionSettings,
  decide,
  type ImageEvent,
} from './decide.ts';
import { deletionStatus, nextDeletionStep } from './deletion.ts';
import { ImageGatherer, rawConfigOf } from './gather.ts';
import { IMAGES, type ImageObject, type ImageStatusPatch } from './objects.ts';
import type { Snapshot } from './snapshot.ts';
import { digestsInUse } from './usage.ts';

/** What is counted; `operator/telemetry` has it. */
export interface ImageMetrics {
  built(build: Pick<BuildMeasure, 'result' | 'reason' | 'arch'>): void;
  took(phase: string, seconds: number): void;
  moved(direction: 'pulled' | 'stored', bytes: number): void;
  cacheUsed(use: CacheUse): void;
  swept(result: 'succeeded' | 'failed'): void;
  artifactRemoved(reason: 'history' | 'deleted'): void;
}

export interface ImageReconcilerOptions extends ApplySettings, DecisionSettings {
  readonly client: ApiClient;
  readonly caches: ImageCaches;
  readonly store: ObjectStore;
  readonly events: EventRecorder;
  readonly metrics: ImageMetrics;
  /** The engine's salts, one for each change of what it makes of the same inputs. */
  readonly salts: readonly string[];
  /** Without it, every build begins when it is wanted. */
  readonly queue?: BuildQueue;
  /** Nothing in storage younger than this is removed. */
  readonly graceMs: number;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** How long to wait for build pods to be gone before looking again; their end is watched anyway. */
const PODS_MS = 10_000;
const REFUSED_MS = 30_000;
/** For so long at most. */
const PODS_LIMIT_MS = 10 * 60_000;

/**
 * Brings one LinuxKitImage to what its spec says: gather a snapshot, decide, write the status, act.
 *
 * The status is written before anything is done, and only onto the version that was read: so of two
 * managers one acts, and whoever comes after a manager that was killed finds in the cluster and in
 * storage all there is to know.
 */
export class ImageReconciler {
  readonly #options: ImageReconcilerOptions;
  readonly #gatherer: ImageGatherer;
  readonly #sweep: ArtifactSweep;
  readonly #clock: Clock;
  /** uid by key, to let go of what is remembered about objects that are gone. */
  readonly #uids = new Map<string, string>();

  constructor(options: ImageReconcilerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    const random = options.random ?? Math.random;
    this.#gatherer = new ImageGatherer({ ...options, clock: this.#clock, random });
    this.#sweep = new ArtifactSweep({ ...options, clock: this.#clock, random });
  }

  readonly reconcile = async (key: ObjectKey, context: ReconcileContext): Promise<ReconcileResult> => {
    const object = this.#options.caches.images.get(key);
    this.#remember(key, object?.metadata.uid);
    if (object === undefined) return undefined;
    const image = parsed(object);
    if (object.metadata.deletionTimestamp !== undefined) return await this.#finalize(object, image, context);
    return await this.#bringUp(await this.#withFinalizer(object, context.signal), image, context);
  };

  #remember(key: ObjectKey, uid: string | undefined): void {
    const text = `${key.namespace ?? ''}/${key.name}`;
    const before = this.#uids.get(text);
    if (before !== undefined && before !== uid) {
      this.#gatherer.forget(before);
      this.#sweep.forget(before);
    }
    if (uid === undefined) this.#uids.delete(text);
    else this.#uids.set(text, uid);
  }

  async #bringUp(
    object: Stored<ImageObject>,
    image: LinuxKitImage,
    context: ReconcileContext,
  ): Promise<ReconcileResult> {
    const { signal, logger } = context;
    const { queue } = this.#options;
    const { namespace, name } = image.metadata;
    const key = { namespace, name };
    const gathered = await this.#gatherer.gather(object, image, context);
    // From the look at the queue to the reservation nothing may come between: other workers decide too.
    const view = queue?.viewFor(key, gathered.now);
    const snapshot: Snapshot = view === undefined ? gathered : { ...gathered, queue: view };
    const decision = decide(snapshot, this.#options);
    if (decision.verdict === 'start' && snapshot.wanted !== undefined)
      queue?.reserve(key, snapshot.wanted.name, snapshot.now);
    else queue?.release(key);
    logger.debug('decided', {
      verdict: decision.verdict,
      build: snapshot.wanted?.hash,
      actions: decision.actions.length,
    });
    let current: Stored<ImageObject>;
    try {
      current = await this.#write(object, decision, signal);
      this.#tell(current, decision);
      await this.#act(current, snapshot, decision, context);
    } catch (error) {
      queue?.release(key);
      throw error;
    }

    const swept = await this.#sweepArtifacts(current, snapshot, decision, context);
    const waits = [decision.requeueAfterMs, swept].filter((ms) => ms !== undefined);
    return waits.length === 0 ? undefined : { requeueAfterMs: Math.min(...waits) };
  }

  async #act(
    object: Stored<ImageObject>,
    snapshot: Snapshot,
    decision: Decision,
    { signal, logger, traceparent }: ReconcileContext,
  ): Promise<void> {
    const { client, events, metrics } = this.#options;
    const { image } = snapshot;
    const settings = { ...this.#options, traceparent };
    for (const action of decision.actions) {
      let changed: boolean;
      try {
        changed = await applyAction(client, object, image, rawConfigOf(object), action, settings, signal);
      } catch (error) {
        throw await this.#refused(object, snapshot, decision, error, signal);
      }
      if (!changed) continue;
      logger.info('acted', {
        action: action.kind,
        job: action.kind === 'startBuild' ? action.attempt.name : action.name,
      });
      if (action.kind === 'deleteJob' && action.cancels) {
        events.record(object, cancelledEvent(action.name));
        metrics.built({ result: 'cancelled', reason: 'BuildCancelled', arch: image.spec.architecture });
      }
    }
  }

  /** When the Job cannot be made, the status says why; gives the error that tells when to try again. */
  async #refused(
    object: Stored<ImageObject>,
    snapshot: Snapshot,
    decision: Decision,
    error: unknown,
    signal: AbortSignal,
  ): Promise<unknown> {
    const again = { ...snapshot, image: { ...snapshot.image, status: decision.status } };
    if (error instanceof NameTakenError) {
      await this.#say(object, decide({ ...again, taken: 'Job' }, this.#options), signal);
      return new WaitingError('NameConflict', `Job ${error.message} is not ours`, REFUSED_MS, {
        cause: error,
      });
    }
    if (error instanceof JobRefusedError) {
      const message = `the API server refuses the build Job: ${error.message}`;
      await this.#say(
        object,
        decide({ ...again, obstacle: { reason: 'PodRefused', message } }, this.#options),
        signal,
      );
      return new WaitingError('PodRefused', message, REFUSED_MS, { cause: error.refusal });
    }
    return error;
  }

  async #say(object: Stored<ImageObject>, decision: Decision, signal: AbortSignal): Promise<void> {
    this.#tell(await this.#write(object, decision, signal), decision);
  }

  async #write(
    object: Stored<ImageObject>,
    decision: Decision,
    signal: AbortSignal,
  ): Promise<Stored<ImageObject>> {
    return decision.statusChanged ? await this.#writeStatus(object, decision.status, signal) : object;
  }

  /** Onto the version that was read, or not at all. */
  async #writeStatus(
    object: Stored<ImageObject>,
    status: ImageStatus,
    signal: AbortSignal,
  ): Promise<Stored<ImageObject>> {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const patch: ImageStatusPatch = {
      apiVersion: object.apiVersion,
      kind: object.kind,
      metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion },
      status,
    };
    return await this.#options.client.applyStatus<ImageObject>(IMAGES, patch, {
      signal,
      fieldManager: MANAGER_IMAGE,
    });
  }

  #tell(object: Stored<ImageObject>, decision: Decision): void {
    const { events, metrics } = this.#options;
    for (const event of decision.events) events.record(object, event satisfies ImageEvent);
    for (const { result, reason, arch, seconds, bytesPulled, bytesStored, cache } of decision.measures) {
      metrics.built({ result, reason, arch });
      for (const [phase, spent] of Object.entries(seconds)) metrics.took(phase, spent);
      if (bytesPulled > 0) metrics.moved('pulled', bytesPulled);
      if (bytesStored > 0) metrics.moved('stored', bytesStored);
      metrics.cacheUsed(cache);
    }
    if (decision.verdict === 'adopt') this.#sweep.hasten(object.metadata.uid);
  }

  /** Before anything can be stored, so that it cannot be deleted without us. */
  async #withFinalizer(object: Stored<ImageObject>, signal: AbortSignal): Promise<Stored<ImageObject>> {
    const { finalizers = [] } = object.metadata;
    if (finalizers.includes(FINALIZER_ARTIFACTS)) return object;
    return await this.#setFinalizers(object, [...finalizers, FINALIZER_ARTIFACTS], signal);
  }

  async #setFinalizers(
    object: Stored<ImageObject>,
    finalizers: readonly string[],
    signal: AbortSignal,
  ): Promise<Stored<ImageObject>> {
    const { resourceVersion } = object.metadata;
    const patch = { metadata: { resourceVersion, finalizers } };
    return await this.#options.client.patch(IMAGES, keyOf(object), patch, { signal });
  }

  /** Removes what storage keeps and nothing holds, when no build is at work. Gives when to look again. */
  async #sweepArtifacts(
    object: Stored<ImageObject>,
    snapshot: Snapshot,
    decision: Decision,
    { signal, logger }: ReconcileContext,
  ): Promise<number | undefined> {
    const { uid } = object.metadata;
    const { status } = decision;
    if (status.build !== undefined || snapshot.otherJobs.some(({ state }) => state === 'active'))
      return undefined;
    if (decision.verdict === 'unresolved') return undefined;
    if ((snapshot.image.status?.history?.length ?? 0) > (status.history?.length ?? 0))
      this.#sweep.hasten(uid);
    if (this.#sweep.dueIn(uid) === 0) {
      const known = [status.artifact, ...(status.history ?? [])].flatMap(
        (artifact) => artifact?.digest ?? [],
      );
      const removed = await this.#swept(snapshot, new Set([...known, ...snapshot.inUse.keys()]), signal);
      for (const digest of removed) {
        const note = `artifact ${digest} is removed: neither history nor a machine keeps it`;
        this.#options.events.record(object, {
          type: 'Normal',
          reason: 'ArtifactRemoved',
          action: 'Delete',
          note,
        });
        this.#options.metrics.artifactRemoved('history');
        logger.info('removed an artifact', { digest });
      }
    }
    return this.#sweep.dueIn(uid);
  }

  async #swept(
    { image }: Snapshot,
    kept: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { metrics } = this.#options;
    try {
      const removed = await this.#sweep.sweep(image, kept, signal);
      metrics.swept('succeeded');
      return removed;
    } catch (error) {
      if (!signal.aborted) metrics.swept('failed');
      throw error;
    }
  }

  async #finalize(
    object: Stored<ImageObject>,
    image: LinuxKitImage,
    context: ReconcileContext,
  ): Promise<ReconcileResult> {
    const { finalizers = [], uid } = object.metadata;
    if (!finalizers.includes(FINALIZER_ARTIFACTS)) return undefined;
    const { client, caches, store, events, metrics } = this.#options;
    const { signal, logger } = context;
    const { namespace, name } = image.metadata;
    const jobs = this.#gatherer.jobsOf(object);
    const since = this.#clock.now() - Date.parse(object.metadata.deletionTimestamp ?? '');
    // A pod on a node that is lost may never go; its right to upload ends before this does.
    const pods = since > PODS_LIMIT_MS ? 0 : this.#podsOf(namespace, name);
    const retain = image.spec.deletionPolicy === 'Retain';
    const stored = retain ? [] : await listArtifacts(store, { namespace, image: name }, { signal });
    const digests = stored.map(({ digest }) => digest);
    const inUse = digestsInUse(caches.machines.list(namespace));
    const step = nextDeletionStep(image, { jobs, pods, stored: digests, inUse });

    const status = deletionStatus(image, step, this.#clock.now());
    let current = object;
    if (canonicalJson(status) !== canonicalJson(image.status)) {
      current = await this.#writeStatus(object, status, signal);
      const ready = status.conditions?.find(({ type }) => type === 'Ready');
      const blocked = step.kind === 'blocked';
      events.record(current, {
        type: blocked ? 'Warning' : 'Normal',
        reason: blocked ? 'ArtifactInUse' : 'Deleting',
        action: 'Delete',
        note: ready?.message ?? '',
      });
    }
    switch (step.kind) {
      case 'cancelBuilds':
        for (const job of step.jobs) {
          const action = { kind: 'deleteJob', name: job.name, uid: job.uid, cancels: false } as const;
          await applyAction(client, current, image, undefined, action, this.#options, signal);
        }
        return { requeueAfterMs: PODS_MS };
      case 'awaitBuilds':
        return { requeueAfterMs: PODS_MS };
      case 'blocked':
        // A machine that lets go is watched.
        return undefined;
      case 'removeObjects':
        await removeImage(store, { namespace, image: name }, { signal });
        for (const _ of digests) metrics.artifactRemoved('deleted');
        if (!this.#othersIn(namespace, uid)) await removeNamespaceCache(store, namespace, { signal });
        logger.info('removed all artifacts', { artifacts: digests.length });
        break;
      case 'release':
        break;
    }
    await this.#setFinalizers(
      current,
      finalizers.filter((each) => each !== FINALIZER_ARTIFACTS),
      signal,
    );
    return undefined;
  }

  #podsOf(namespace: string, name: string): number {
    return this.#options.caches.pods
      .list(namespace)
      .filter(({ metadata }) => metadata.labels?.[LABEL_IMAGE] === name).length;
  }

  /** The namespace's cache serves all its images; it goes with the last one. */
  #othersIn(namespace: string, uid: string): boolean {
    return this.#options.caches.images
      .list(namespace)
      .some(({ metadata }) => metadata.uid !== uid && metadata.deletionTimestamp === undefined);
  }
}

function keyOf(object: Stored<ImageObject>): ObjectKey {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? { name } : { namespace, name };
}

/** The API server checks the schema; an object from before a change of it may still not fit. */
function parsed(object: Stored<ImageObject>): LinuxKitImage {
  try {
    return parseImage(object);
  } catch (error) {
    if (error instanceof ObjectError) throw new StalledError(error.code, error.message, { cause: error });
    throw error;
  }
}
