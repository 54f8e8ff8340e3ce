import { findCondition, STALLED } from '../../api/conditions.ts';
import type { LinuxKitImage } from '../../api/image.ts';
import type { RegistrySettings } from '../../build/request.ts';
import { messageOf } from '../../errors.ts';
import { isDigest } from '../../oci/types.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import type { Clock, Random } from '../../runtime/clock.ts';
import type { ReconcileContext } from '../../runtime/controller.ts';
import { controllerOf, type Stored } from '../../runtime/objects.ts';
import { JOBS, type Job } from '../../runtime/resources.ts';
import { readBuildRecord } from '../../storage/build-record.ts';
import { type ObjectReader, StorageError } from '../../storage/store.ts';
import { buildHash, buildInputs, buildName, referencedConfigMaps } from './build-hash.ts';
import type { ImageCaches } from './caches.ts';
import { type JobView, viewJob } from './job-view.ts';
import type { ImageObject } from './objects.ts';
import { findObstacle, stuckObject } from './obstacle.ts';
import { refreshTick } from './refresh.ts';
import type { Snapshot } from './snapshot.ts';
import { digestsInUse } from './usage.ts';
import { type StoredResult, verifyArtifact } from './verify-artifact.ts';

export interface GatherOptions {
  readonly client: ApiClient;
  readonly caches: ImageCaches;
  readonly store: ObjectReader;
  readonly salts: readonly string[];
  readonly registries: RegistrySettings;
  readonly clock: Clock;
  readonly random: Random;
}

const LOG_LINES = 40;
const LOG_BYTES = 2048;
/** How often storage is asked whether it still has an image's artifact. */
const PRESENCE_MS = 10 * 60_000;
const PRESENCE_RETRY_MS = 60_000;

/**
 * Collects snapshots. Caches answer most of it; storage and the API server are asked only at the
 * few moments when a build ends, fails, or does not get going.
 */
export class ImageGatherer {
  readonly #options: GatherOptions;
  /** By uid: when to ask storage for the artifact again. Only a saving: a new leader asks anew. */
  readonly #presence = new Map<string, number>();

  constructor(options: GatherOptions) {
    this.#options = options;
  }

  forget(uid: string): void {
    this.#presence.delete(uid);
  }

  /** All Jobs of an image, with their pods. */
  jobsOf(image: Stored<ImageObject>): readonly JobView[] {
    return this.#options.caches.jobs
      .byOwner(image.metadata.uid)
      .map((job) => this.#view(job, image.metadata.uid));
  }

  async gather(
    object: Stored<ImageObject>,
    image: LinuxKitImage,
    context: ReconcileContext,
  ): Promise<Snapshot> {
    const { caches, clock } = this.#options;
    const { uid } = object.metadata;
    const now = clock.now();
    const refresh = refreshTick(image, now);
    const { missing, wanted } = this.#wanted(object, image, refresh.tick);
    const named = wanted === undefined ? undefined : this.#jobNamed(image, wanted.name, uid);
    const requests = caches.configMaps
      .byOwner(uid)
      .map(({ metadata }) => ({ name: metadata.name, uid: metadata.uid }));
    const [taken, result, obstacle, logTail, artifactGone] = await Promise.all([
      this.#taken(image, wanted?.name, named, context),
      this.#result(image, named, context),
      this.#obstacle(image, named, now, context),
      this.#logTail(image, named, wanted?.hash, context),
      this.#artifactGone(image, now, context),
    ]);
    return {
      now,
      image,
      wanted,
      missingConfigMaps: missing,
      refresh,
      job: named,
      otherJobs: this.jobsOf(object).filter(({ name }) => name !== wanted?.name),
      taken,
      requests,
      result,
      artifactGone,
      obstacle,
      logTail,
      inUse: digestsInUse(caches.machines.list(image.metadata.namespace)),
    };
  }

  #wanted(
    object: Stored<ImageObject>,
    image: LinuxKitImage,
    refresh: string,
  ): { readonly missing: readonly string[]; readonly wanted: Snapshot['wanted'] } {
    const { caches, salts, registries } = this.#options;
    const { namespace, name } = image.metadata;
    const configMaps = new Map<string, string>();
    const missing: string[] = [];
    for (const each of referencedConfigMaps(image.spec)) {
      const found = caches.configMaps.get({ namespace, name: each });
      if (found === undefined) missing.push(each);
      else configMaps.set(each, `${found.metadata.uid}/${found.metadata.resourceVersion}`);
    }
    if (missing.length > 0) return { missing, wanted: undefined };
    const inputs = buildInputs(image, rawConfigOf(object), {
      configMaps,
      salts,
      registries,
      refresh,
    });
    const hash = buildHash(inputs);
    return { missing, wanted: { hash, name: buildName(name, hash) } };
  }

  #jobNamed(image: LinuxKitImage, name: string, uid: string): JobView | undefined {
    const job = this.#options.caches.jobs.get({ namespace: image.metadata.namespace, name });
    return job === undefined ? undefined : this.#view(job, uid);
  }

  #view(job: Stored<Job>, imageUid: string): JobView {
    return viewJob(job, this.#options.caches.pods.byOwner(job.metadata.uid), imageUid);
  }

  /** Jobs without our label are in no cache: once one was met, the API server is asked until it is gone. */
  async #taken(
    image: LinuxKitImage,
    name: string | undefined,
    job: JobView | undefined,
    { signal }: ReconcileContext,
  ): Promise<Snapshot['taken']> {
    if (name === undefined) return undefined;
    if (job !== undefined && !job.ours) return 'Job';
    const { namespace, uid } = image.metadata;
    const request = this.#options.caches.configMaps.get({ namespace, name });
    if (request !== undefined && controllerOf(request)?.uid !== uid) return 'ConfigMap';
    if (job !== undefined || findCondition(image.status?.conditions, STALLED)?.reason !== 'NameConflict')
      return undefined;
    const found = await this.#options.client.findMetadata(JOBS, { namespace, name }, { signal });
    return found !== undefined && controllerOf(found)?.uid !== uid ? 'Job' : undefined;
  }

  async #result(
    image: LinuxKitImage,
    job: JobView | undefined,
    { signal }: ReconcileContext,
  ): Promise<StoredResult | undefined> {
    const known = image.status?.artifact?.buildHash === job?.hash && image.status?.build === undefined;
    if (
      job?.state !== 'succeeded' ||
      !job.ours ||
      job.outcome === undefined ||
      (known && !this.#isDue(image))
    )
      return undefined;
    const { namespace, name } = image.metadata;
    const place = { namespace, image: name, digest: job.outcome.digest };
    return await verifyArtifact(this.#options.store, place, image.spec.architecture, { signal });
  }

  async #obstacle(
    image: LinuxKitImage,
    job: JobView | undefined,
    now: number,
    { signal, logger }: ReconcileContext,
  ): Promise<Snapshot['obstacle']> {
    const uid = stuckObject(job, now);
    if (uid === undefined) return undefined;
    try {
      return await findObstacle(this.#options.client, image.metadata.namespace, uid, { signal });
    } catch (error) {
      if (signal.aborted) throw error;
      logger.debug('cannot read events', { error: messageOf(error) });
      return undefined;
    }
  }

  /** Once for each pod that failed; the log goes with the pod. */
  async #logTail(
    image: LinuxKitImage,
    job: JobView | undefined,
    hash: string | undefined,
    { signal, logger }: ReconcileContext,
  ): Promise<string | undefined> {
    const pod = job?.failure?.pod;
    const last = image.status?.lastFailure;
    if (pod === undefined || (last?.pod === pod && last.buildHash === hash)) return undefined;
    try {
      return await this.#options.client.podLogs(
        { namespace: image.metadata.namespace, name: pod },
        { signal, container: 'build', tailLines: LOG_LINES, limitBytes: LOG_BYTES, timeoutMs: 10_000 },
      );
    } catch (error) {
      if (signal.aborted) throw error;
      logger.debug('cannot read the log of the build pod', { pod, error: messageOf(error) });
      return undefined;
    }
  }

  #isDue(image: LinuxKitImage): boolean {
    return this.#options.clock.now() >= (this.#presence.get(image.metadata.uid) ?? 0);
  }

  /** True only when storage answered, and has no record. */
  async #artifactGone(
    image: LinuxKitImage,
    now: number,
    { signal, logger }: ReconcileContext,
  ): Promise<boolean> {
    const digest = image.status?.artifact?.digest;
    if (digest === undefined || !isDigest(digest) || !this.#isDue(image)) return false;
    const { namespace, name, uid } = image.metadata;
    try {
      const record = await readBuildRecord(
        this.#options.store,
        { namespace, image: name, digest },
        { signal },
      );
      // Gone is asked again, until a status without the artifact has been written.
      if (record === undefined) return true;
      this.#presence.set(uid, now + PRESENCE_MS * (1 + 0.2 * this.#options.random()));
      return false;
    } catch (error) {
      if (signal.aborted) throw error;
      this.#presence.set(uid, now + PRESENCE_RETRY_MS);
      if (!(error instanceof StorageError)) throw error;
      logger.warn('cannot ask storage for the artifact', { digest, error: error.message });
      return false;
    }
  }
}

/** As the API server keeps it: a new version of ours that knows more defaults must not build everything anew. */
export function rawConfigOf(object: ImageObject): unknown {
  return object.spec?.config;
}
