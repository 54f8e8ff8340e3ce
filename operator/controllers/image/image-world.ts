import { createHash } from 'node:crypto';
import type { LinuxKitImage } from '../../api/image.ts';
import type { BuildRecord } from '../../build/record.ts';
import { sha256Digest } from '../../oci/types.ts';
import { buildHash, buildInputs, buildName } from './build-hash.ts';
import { type Decision, decide } from './decide.ts';
import { imageWith, NOW } from './image-under-test.ts';
import type { Attempt } from './job.ts';
import type { JobView } from './job-view.ts';
import type { Failure, PodView } from './pod-view.ts';
import type { QueueView } from './queue.ts';
import { refreshTick } from './refresh.ts';
import type { Snapshot } from './snapshot.ts';

/** How long the world of a test keeps Jobs that ended. */
const JOB_TTL_MS = 3_600_000;

/**
 * A cluster and a storage in miniature, of one image, for tests of decisions: the controller's
 * actions change it, and so do kubelets, people and misfortunes.
 */
export class ImageWorld {
  now = NOW;
  spec: Record<string, unknown> = { refresh: { interval: '24h' } };
  generation = 1;
  annotations: Record<string, string> = {};
  status: LinuxKitImage['status'];
  /** What tags point to: the same spec gives another artifact when it changes. */
  upstream = 0;
  configMap: string | undefined = '1';
  storageAnswers = true;
  /** What else runs and waits in the cluster. */
  queue: QueueView | undefined;
  readonly jobs = new Map<string, JobView>();
  readonly stored = new Map<string, BuildRecord>();
  readonly inUse = new Map<string, readonly string[]>();
  readonly #builds = new Map<string, string>();
  #uids = 0;

  get image(): LinuxKitImage {
    return imageWith({
      spec: this.spec,
      metadata: { generation: this.generation, annotations: this.annotations },
      ...(this.status === undefined ? {} : { status: this.status }),
    });
  }

  changeSpec(change: Record<string, unknown>): void {
    this.spec = { ...this.spec, ...change };
    this.generation++;
  }

  snapshot(): Snapshot {
    const { image, now } = this;
    const refresh = refreshTick(image, now);
    const hash =
      this.configMap === undefined
        ? undefined
        : buildHash(
            buildInputs(image, image.spec.config, {
              configMaps: new Map([['c', this.configMap]]),
              salts: [],
              registries: { insecureRegistries: [] },
              refresh: refresh.tick,
            }),
          );
    const wanted = hash === undefined ? undefined : { hash, name: buildName('web', hash) };
    const job = wanted === undefined ? undefined : this.jobs.get(wanted.name);
    const gone =
      this.storageAnswers &&
      image.status?.artifact !== undefined &&
      !this.stored.has(image.status.artifact.digest);
    return {
      now,
      image,
      wanted,
      missingConfigMaps: wanted === undefined ? ['c'] : [],
      refresh,
      job,
      otherJobs: [...this.jobs.values()].filter(({ name }) => name !== wanted?.name),
      taken: undefined,
      requests: [],
      result: this.#resultOf(job),
      artifactGone: gone,
      obstacle: undefined,
      logTail: undefined,
      inUse: this.inUse,
      ...(this.queue === undefined ? {} : { queue: this.queue }),
    };
  }

  #resultOf(job: JobView | undefined): Snapshot['result'] {
    if (job?.outcome === undefined) return undefined;
    if (!this.storageAnswers) return { kind: 'unavailable', message: 'away' };
    const record = this.stored.get(job.outcome.digest);
    if (record === undefined) return { kind: 'missing' };
    return { kind: 'verified', record, recordFile: { size: 2, sha256: record.inputsHash } };
  }

  decide(): Decision {
    return decide(this.snapshot(), { jobTtlMs: JOB_TTL_MS });
  }

  /** One pass; a manager that is killed does no more than `steps` of status write and actions. */
  reconcile(steps = Number.POSITIVE_INFINITY): Decision {
    const decision = this.decide();
    if (steps < 1) return decision;
    this.status = decision.status;
    for (const action of decision.actions.slice(0, steps - 1)) {
      if (action.kind === 'startBuild') this.#start(action.attempt);
      else if (action.kind === 'deleteJob' && this.jobs.get(action.name)?.uid === action.uid)
        this.jobs.delete(action.name);
    }
    return decision;
  }

  #start({ name, hash, reason, startTime }: Attempt): void {
    if (this.jobs.has(name)) return;
    const job = {
      name,
      uid: `job-${++this.#uids}`,
      ours: true,
      hash,
      reason,
      attempt: startTime,
      deleting: false,
    };
    this.jobs.set(name, { ...job, state: 'active', createdAt: this.now, pods: [] });
    this.#builds.set(name, JSON.stringify([this.spec['config'] ?? '', this.configMap, this.upstream]));
  }

  /** What kubelet and Job controller do to a Job that is active; nothing to others. */
  endJob(name: string, end: 'run' | 'succeed' | 'fail for good' | 'fail for now' | 'lose pod'): void {
    const job = this.jobs.get(name);
    if (job === undefined || job.state !== 'active') return;
    const pod: PodView = {
      name: `${name}-pod`,
      uid: 'p',
      createdAt: this.now,
      startedAt: this.now,
      state: 'running',
    };
    const finished = { ...job, finishedAt: this.now };
    if (end === 'run') {
      this.jobs.set(name, { ...job, pods: [pod] });
    } else if (end === 'succeed') {
      const record = this.#store(this.#builds.get(name) ?? '');
      const outcome = {
        result: 'succeeded',
        digest: record.digest,
        reused: false,
        seconds: {},
        bytesPulled: 0,
        bytesStored: 0,
      } as const;
      this.jobs.set(name, {
        ...finished,
        state: 'succeeded',
        outcome,
        pods: [{ ...pod, state: 'succeeded', outcome }],
      });
    } else if (end === 'lose pod') {
      this.jobs.set(name, { ...finished, state: 'succeeded', pods: [] });
    } else {
      const reason = end === 'fail for good' ? 'ImageNotFound' : 'RegistryUnreachable';
      const failure: Failure = { at: this.now, step: 'resolve', reason, message: end, pod: pod.name };
      this.jobs.set(name, {
        ...finished,
        state: 'failed',
        failure,
        pods: [{ ...pod, state: 'failed', failure }],
      });
    }
  }

  /** The first pod of a Job fails, and the Job goes on. */
  failPod(name: string): void {
    const job = this.jobs.get(name);
    if (job === undefined) return;
    const failure: Failure = {
      at: this.now,
      step: 'resolve',
      reason: 'RegistryUnreachable',
      message: 'away',
      pod: 'first',
    };
    const pod: PodView = { name: 'first', uid: 'first', createdAt: this.now, state: 'failed', failure };
    this.jobs.set(name, { ...job, failure, pods: [pod] });
  }

  #store(content: string): BuildRecord {
    const hex = createHash('sha256').update(content).digest('hex');
    const file = { size: 1, sha256: hex };
    const record: BuildRecord = {
      schema: 'linuxkit.dev/build/v1',
      digest: sha256Digest(hex),
      architecture: 'amd64',
      compression: 'gzip',
      created: new Date(this.now).toISOString(),
      engine: 'test',
      inputsHash: hex,
      inputs: [],
      files: {
        kernel: file,
        'initrd.img': { ...file, uncompressedSize: 1, uncompressedSha256: hex },
        cmdline: file,
      },
      cmdline: '',
      bootImage: { digest: sha256Digest(hex), manifest: '', config: '', layers: [] },
    };
    const known = this.stored.get(record.digest);
    this.stored.set(record.digest, known ?? record);
    return known ?? record;
  }
}
