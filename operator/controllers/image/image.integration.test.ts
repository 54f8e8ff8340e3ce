import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ControlPlane } from '../../../e2e/cluster/control-plane.ts';
import { installCrds } from '../../../e2e/cluster/crds.ts';
import { waitFor } from '../../../e2e/process/wait.ts';
import { silentReporter } from '../../../e2e/progress/reporter.ts';
import type { ImageStatus } from '../../api/image.ts';
import { ANNOTATION_REBUILD, FINALIZER_ARTIFACTS } from '../../api/names.ts';
import type { BuildOutcome, BuildRecord } from '../../build/record.ts';
import type { BuildRequest, RegistrySettings } from '../../build/request.ts';
import { sha256Digest } from '../../oci/types.ts';
import { ClusterAccess } from '../../runtime/access.ts';
import { ApiClient } from '../../runtime/api-client.ts';
import type { Controller } from '../../runtime/controller.ts';
import type { EventToRecord } from '../../runtime/event-recorder.ts';
import { SILENT_LOGGER } from '../../runtime/logger.ts';
import type { KubeObject, Stored } from '../../runtime/objects.ts';
import {
  CONFIG_MAPS,
  JOBS,
  type Job,
  NAMESPACES,
  PODS,
  type Pod,
  resource,
} from '../../runtime/resources.ts';
import { FolderStore } from '../../storage/folder/folder-store.ts';
import { artifactKey, inNamespace } from '../../storage/layout.ts';
import { BuildQueue } from './build-queue.ts';
import { imageCaches } from './caches.ts';
import { createImageController } from './controller.ts';
import type { BuilderSettings } from './job.ts';
import { IMAGES, type ImageObject, MACHINES } from './objects.ts';
import type { QueueLimits } from './queue.ts';

const signal = AbortSignal.timeout(900_000);
const FORBIDDEN_ANYWHERE = 'never in a request';
let plane: ControlPlane;
let client: ApiClient;
let folder: string;
let store: FolderStore;
let namespace = '';
let counter = 0;
let manager: Manager;

interface Manager {
  readonly controller: Controller;
  readonly events: EventToRecord[];
  /** As a kill does: nothing is put in order. */
  stop(): Promise<void>;
}

function startManager(
  settings: {
    readonly salts?: readonly string[];
    readonly graceMs?: number;
    readonly limits?: QueueLimits;
    readonly registries?: RegistrySettings;
    readonly proxy?: NonNullable<BuilderSettings['proxy']>;
  } = {},
): Manager {
  const caches = imageCaches(client, { logger: SILENT_LOGGER });
  const events: EventToRecord[] = [];
  const controller = createImageController(
    {
      client,
      caches,
      store,
      queue: new BuildQueue(settings.limits ?? { cluster: 0, namespace: 0 }, caches),
      salts: settings.salts ?? ['one'],
      registries: settings.registries ?? { insecureRegistries: [] },
      graceMs: settings.graceMs ?? 3_600_000,
      jobTtlMs: 3_600_000,
      events: { record: (_, event) => void events.push(event) },
      metrics: {
        built: () => {},
        took: () => {},
        moved: () => {},
        cacheUsed: () => {},
        swept: () => {},
        artifactRemoved: () => {},
      },
      endpoint: () => ({ url: 'https://artifacts.test:9443', caBundle: 'PEM' }),
      builder: {
        image: 'operator:test',
        imagePullPolicy: 'IfNotPresent',
        args: ['build-job'],
        resources: { requests: { cpu: '100m' }, limits: { memory: '1Gi' } },
        workSize: '10Gi',
        ...(settings.proxy === undefined ? {} : { proxy: settings.proxy }),
      },
    },
    { logger: SILENT_LOGGER, workers: 4 },
  );
  const stop = new AbortController();
  const running = [...Object.values(caches), controller].map(
    (part: { run(signal: AbortSignal): Promise<void> }) => part.run(stop.signal),
  );
  return {
    controller,
    events,
    stop: async () => {
      stop.abort();
      await Promise.all(running);
    },
  };
}

beforeAll(async () => {
  plane = await ControlPlane.start(silentReporter, signal, { controllers: true });
  client = new ApiClient(ClusterAccess.load({ file: plane.kubeconfig }));
  folder = await mkdtemp(join(tmpdir(), 'linuxkit-image-controller-'));
  store = new FolderStore(folder);
  await installCrds(client, signal);
});

afterAll(async () => {
  await client.access[Symbol.asyncDispose]();
  await plane.stop();
  await rm(folder, { recursive: true, force: true });
});

beforeAll(() => {
  manager = startManager();
});

afterEach(async () => {
  await manager.stop();
  manager = startManager();
});

afterAll(async () => {
  await manager.stop();
});

/** A namespace of its own for each test. */
async function fresh(): Promise<string> {
  namespace = `test-${++counter}`;
  await client.create(
    NAMESPACES,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { signal },
  );
  return namespace;
}

const CONFIG = {
  kernel: { image: 'example/kernel:1', cmdline: 'console=ttyS0' },
  init: ['example/init:1'],
  services: [{ name: 'web', image: 'example/web:1' }],
};

async function createImage(
  spec: Record<string, unknown> = { config: CONFIG },
  name = 'web',
): Promise<Stored<ImageObject>> {
  const object = {
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitImage',
    metadata: { name, namespace },
    spec,
  } as unknown as ImageObject;
  return await client.create(IMAGES, object, { signal });
}

const image = (name = 'web'): Promise<Stored<ImageObject>> =>
  client.get(IMAGES, { namespace, name }, { signal });
const status = async (name = 'web'): Promise<ImageStatus> => (await image(name)).status ?? {};
const condition = (from: ImageStatus, type: string) => from.conditions?.find((each) => each.type === type);
const patchImage = (patch: unknown, name = 'web'): Promise<Stored<ImageObject>> =>
  client.patch(IMAGES, { namespace, name }, patch, { signal });
const jobs = async (): Promise<readonly Stored<Job>[]> =>
  (await client.list(JOBS, { namespace, signal })).items;
const pods = async (): Promise<readonly Stored<Pod>[]> =>
  (await client.list(PODS, { namespace, signal })).items;

const until = <T>(what: string, probe: () => Promise<T | undefined | false>, timeout = 15_000): Promise<T> =>
  waitFor(what, probe, { signal, timeout });

const ready = (reason: string, name = 'web'): Promise<ImageStatus> =>
  until(`Ready with reason ${reason}`, async () => {
    const now = await status(name);
    return condition(now, 'Ready')?.reason === reason && now;
  });

const stalled = (reason: string): Promise<ImageStatus> =>
  until(`Stalled with reason ${reason}`, async () => {
    const now = await status();
    return condition(now, 'Stalled')?.reason === reason && now;
  });

/** The Job of the build that status names, once the Job controller has given it a pod. */
async function building(
  name = 'web',
  other?: string,
): Promise<{ readonly job: Stored<Job>; readonly pod: Stored<Pod> }> {
  return await until(`a build of ${name}`, async () => {
    const { build } = await status(name);
    if (build === undefined || build.job === other) return undefined;
    const job = await client.find(JOBS, { namespace, name: build.job }, { signal });
    const pod = (await pods()).find(
      ({ metadata }) =>
        metadata.ownerReferences?.some(({ uid }) => uid === job?.metadata.uid) &&
        metadata.deletionTimestamp === undefined,
    );
    return job !== undefined && pod !== undefined && { job, pod };
  });
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What a build would store, with content that depends on `seed` alone. */
async function storeArtifact(name: string, seed: string): Promise<BuildRecord> {
  const digest = sha256Digest(sha256(`artifact ${seed}`));
  const content = { kernel: `kernel ${seed}`, 'initrd.img': `initrd ${seed}`, cmdline: 'console=ttyS0' };
  const file = (text: string) => ({ size: text.length, sha256: sha256(text) });
  const layer = sha256Digest(sha256(`layer ${seed}`));
  const manifest = JSON.stringify({ schemaVersion: 2, layers: [{ digest: layer }] });
  const record: BuildRecord = {
    schema: 'linuxkit.dev/build/v1',
    digest,
    architecture: 'amd64',
    compression: 'gzip',
    created: '2026-01-01T00:00:00Z',
    engine: 'test',
    inputsHash: sha256(seed),
    inputs: [{ location: 'kernel', reference: 'example/kernel:1', digest: sha256Digest(sha256('kernel')) }],
    files: {
      kernel: file(content.kernel),
      'initrd.img': { ...file(content['initrd.img']), uncompressedSize: 9, uncompressedSha256: sha256('x') },
      cmdline: file(content.cmdline),
    },
    cmdline: content.cmdline,
    bootImage: {
      digest: sha256Digest(sha256(manifest)),
      manifest,
      config: '{}',
      layers: [{ file: 'kernel', digest: layer, size: 1 }],
    },
  };
  const objects = { ...content, 'build.json': JSON.stringify(record) };
  for (const [key, text] of Object.entries(objects)) {
    const source = { ...file(text), open: () => Readable.from([text]) };
    await store.put(inNamespace(namespace, artifactKey(name, digest, key as 'kernel')), source, { signal });
  }
  return record;
}

/** Ends a build's pod as the kubelet would; the real Job controller draws its conclusions. */
async function endPod(
  pod: Stored<Pod>,
  end: { readonly exitCode: number; readonly message?: string; readonly reason?: string },
): Promise<void> {
  const at = `${new Date().toISOString().slice(0, 19)}Z`;
  const terminated = {
    exitCode: end.exitCode,
    reason: end.reason ?? 'Error',
    message: end.message,
    startedAt: at,
    finishedAt: at,
  };
  await client.patch(
    PODS,
    { namespace, name: pod.metadata.name },
    {
      status: {
        phase: end.exitCode === 0 ? 'Succeeded' : 'Failed',
        containerStatuses: [
          {
            name: 'build',
            image: 'x',
            imageID: 'x',
            ready: false,
            restartCount: 0,
            started: false,
            state: { terminated },
          },
        ],
      },
    },
    { signal, subresource: 'status' },
  );
}

async function succeed(pod: Stored<Pod>, record: BuildRecord, reused = false): Promise<void> {
  const outcome: BuildOutcome = {
    result: 'succeeded',
    digest: record.digest,
    reused,
    seconds: { pull: 1 },
    bytesPulled: 10,
    bytesStored: 20,
  };
  await endPod(pod, { exitCode: 0, reason: 'Completed', message: JSON.stringify(outcome) });
}

async function fail(pod: Stored<Pod>, reason: string, exitCode: number, message = 'because'): Promise<void> {
  const outcome = { result: 'failed', failure: { step: 'resolve', reason, message } };
  await endPod(pod, { exitCode, message: JSON.stringify(outcome) });
}

async function buildOnce(seed: string, name = 'web'): Promise<BuildRecord> {
  const { pod } = await building(name);
  const record = await storeArtifact(name, seed);
  await succeed(pod, record);
  await until('the artifact', async () => (await status(name)).artifact?.digest === record.digest);
  return record;
}

describe('a build', () => {
  test('is a restricted Job, and its result becomes the artifact', async () => {
    await fresh();
    await createImage({
      config: CONFIG,
      imagePullSecrets: [{ name: 'registry' }],
      files: [{ path: '/etc/motd', contentsFrom: { secretKeyRef: { name: 'motd', key: 'text' } } }],
      build: { timeout: '90s', retries: 1, resources: { limits: { memory: '2Gi' } } },
    });
    const early = await until('a first status', async () => {
      const now = await status();
      return condition(now, 'Ready') !== undefined && now;
    });
    expect(condition(early, 'Ready')?.status).toBe('False');
    expect(condition(early, 'Reconciling')?.status).toBe('True');

    const { job, pod } = await building();
    expect((await image()).metadata.finalizers).toContain(FINALIZER_ARTIFACTS);
    expect(job.metadata.name).toMatch(/^web-[0-9a-f]{10}$/);
    expect(job.spec).toMatchObject({ backoffLimit: 1, podReplacementPolicy: 'Failed' });
    expect(job.spec?.template.spec).toMatchObject({
      activeDeadlineSeconds: 90,
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    });
    const [container] = job.spec?.template.spec?.containers ?? [];
    expect(container?.resources?.limits).toEqual({ memory: '2Gi' });
    expect(pod.spec?.volumes?.map(({ name }) => name)).toEqual([
      'request',
      'token',
      'work',
      'files',
      'pull-secrets',
    ]);
    const request = await client.get(CONFIG_MAPS, { namespace, name: job.metadata.name }, { signal });
    expect(JSON.parse(request.data?.['request.json'] ?? '')).toMatchObject({
      schema: 'linuxkit.dev/build-request/v1',
      image: 'web',
      namespace,
      config: { inline: CONFIG },
      files: [{ path: '/etc/motd', file: '0/text' }],
      pullSecrets: ['registry'],
      endpoint: { url: 'https://artifacts.test:9443', caBundle: 'PEM' },
    });
    expect(JSON.stringify(request)).not.toContain(FORBIDDEN_ANYWHERE);

    const record = await storeArtifact('web', 'one');
    await succeed(pod, record);
    const done = await ready('Available');
    expect(done.artifact).toMatchObject({
      digest: record.digest,
      bootImage: { reference: `${namespace}/web@${record.bootImage.digest}` },
      reason: 'Created',
      cmdline: { text: 'console=ttyS0' },
    });
    expect(done.build).toBeUndefined();
    expect(condition(done, 'Reconciling')).toBeUndefined();
    // Events follow the status that they tell of.
    await until('both events', async () => manager.events.length === 2);
    expect(manager.events.map(({ reason }) => reason)).toEqual(['Building', 'BuildSucceeded']);
  });

  test('runs in a namespace that enforces the restricted level', async () => {
    await fresh();
    await client.patch(
      NAMESPACES,
      { name: namespace },
      { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
      { signal },
    );
    await createImage();
    await building();
  });

  test('is not repeated for an unchanged spec, and a changed one builds again', async () => {
    await fresh();
    await createImage();
    const first = await buildOnce('one');
    await patchImage({
      metadata: { labels: { touched: 'yes' } },
      spec: { historyLimit: 2, build: { retries: 0 } },
    });
    await until(
      'the new generation',
      async () => (await status()).observedGeneration === (await image()).metadata.generation,
    );
    expect(await jobs()).toHaveLength(1);

    await patchImage({
      spec: { config: { ...CONFIG, services: [{ name: 'web', image: 'example/web:2' }] } },
    });
    const { job } = await building();
    const meanwhile = await status();
    expect(meanwhile.artifact?.digest).toBe(first.digest);
    expect(condition(meanwhile, 'Ready')?.status).toBe('Unknown');
    expect(meanwhile.build?.reason).toBe('SpecChanged');
    expect((await jobs()).map(({ metadata }) => metadata.name)).toContain(job.metadata.name);
    const second = await buildOnce('two');
    const done = await ready('Available');
    expect(done.artifact?.digest).toBe(second.digest);
    expect(done.history?.map(({ digest }) => digest)).toEqual([first.digest]);
  });

  test('that is not wanted any more is cancelled', async () => {
    await fresh();
    await createImage();
    const first = await building();
    await patchImage({ spec: { architecture: 'arm64' } });
    await building('web', first.job.metadata.name);
    await until('the end of the first Job', async () => (await jobs()).length === 1);
    await until('the event', async () => manager.events.some(({ reason }) => reason === 'BuildCancelled'));
  });

  test('asked for by annotation runs once, and leaves an equal artifact as it is', async () => {
    await fresh();
    await createImage();
    await buildOnce('one');
    const before = (await status()).artifact;
    await patchImage({ metadata: { annotations: { [ANNOTATION_REBUILD]: 'now' } } });
    const { pod } = await building();
    expect(condition(await status(), 'Ready')?.status).toBe('True');
    await succeed(pod, await storeArtifact('web', 'one'), true);
    const done = await until('the end', async () => {
      const now = await status();
      return now.build === undefined && now.lastHandledRebuild === 'now' && now;
    });
    expect(done.artifact).toEqual({ ...before, buildHash: done.artifact?.buildHash });
    expect(done.history).toBeUndefined();
    await patchImage({ metadata: { annotations: { [ANNOTATION_REBUILD]: null } } });
    await patchImage({ metadata: { annotations: { other: 'x' } } });
    await manager.stop();
    manager = startManager();
    await until(
      'a look at it',
      async () => manager.controller.hasSynced && manager.controller.queue.depth === 0,
    );
    expect((await status()).build).toBeUndefined();
  });

  test('waits for the ConfigMap it takes its configuration from, and follows it', async () => {
    await fresh();
    await createImage({ configFrom: { configMapKeyRef: { name: 'linuxkit', key: 'config.yaml' } } });
    const waiting = await ready('ConfigNotFound');
    expect(condition(waiting, 'Reconciling')?.message).toContain('linuxkit');
    expect(await jobs()).toHaveLength(0);
    const map = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'linuxkit', namespace },
      data: { 'config.yaml': 'a' },
    };
    await client.create(CONFIG_MAPS, map, { signal });
    await buildOnce('one');
    await client.patch(
      CONFIG_MAPS,
      { namespace, name: 'linuxkit' },
      { data: { 'config.yaml': 'b' } },
      { signal },
    );
    await building();
    expect((await status()).build?.reason).toBe('ConfigChanged');
  });

  test('is not started while suspended', async () => {
    await fresh();
    await createImage({ config: CONFIG, suspend: true });
    await ready('Suspended');
    expect(await jobs()).toHaveLength(0);
    await patchImage({ spec: { suspend: false } });
    await buildOnce('one');
  });

  test('waits for its turn where others are at work, and has it when one ends', async () => {
    await manager.stop();
    manager = startManager({ limits: { cluster: 0, namespace: 1 } });
    await fresh();
    const names = ['one', 'two', 'three'];
    for (const name of names) await createImage({ config: CONFIG }, name);
    const atWork = async (): Promise<readonly string[]> =>
      (await jobs())
        .filter((job) => !job.status?.conditions?.some(({ type }) => type === 'Complete'))
        .map(({ metadata }) => metadata.name);
    const built: string[] = [];
    for (const _ of names) {
      const waiting = names.length - built.length - 1;
      await until(`${waiting} builds that wait`, async () => {
        const said = await Promise.all(
          names.map(async (name) => condition(await status(name), 'Reconciling')?.message ?? ''),
        );
        return said.filter((text) => text.startsWith('waits for its turn')).length === waiting;
      });
      const [job, ...more] = await until('a Job', async () => {
        const found = await atWork();
        return found.length > 0 && found;
      });
      expect(more).toEqual([]);
      const name = names.find((each) => job?.startsWith(`${each}-`)) ?? '';
      await buildOnce(name, name);
      built.push(name);
    }
    expect(built.toSorted()).toEqual(names.toSorted());
  });

  test('of an upgraded engine is made anew', async () => {
    await fresh();
    await createImage();
    await buildOnce('one');
    await manager.stop();
    manager = startManager({ salts: ['one', 'two'] });
    await building();
    expect((await status()).build?.reason).toBe('EngineChanged');
  });
});

describe('a failure', () => {
  test('that nothing mends stalls the image, keeps the artifact, and ends when the spec is touched', async () => {
    await fresh();
    await createImage();
    const first = await buildOnce('one');
    await patchImage({ spec: { config: { ...CONFIG, init: ['example/init:none'] } } });
    const { pod, job } = await building();
    await fail(pod, 'ImageNotFound', 65, 'example/init:none does not exist');
    const failed = await stalled('ImageNotFound');
    expect(condition(failed, 'Stalled')).toMatchObject({ status: 'True', reason: 'ImageNotFound' });
    expect(failed.artifact?.digest).toBe(first.digest);
    expect(failed.lastFailure).toMatchObject({
      step: 'resolve',
      reason: 'ImageNotFound',
      message: 'example/init:none does not exist',
      pod: pod.metadata.name,
      exitCode: 65,
    });
    expect(failed.build).toBeUndefined();
    expect(manager.events.filter(({ type }) => type === 'Warning').map(({ reason }) => reason)).toEqual([
      'ImageNotFound',
    ]);

    await patchImage({ spec: { build: { resources: { limits: { memory: '4Gi' } } } } });
    const again = await until('a second Job', async () => {
      const [found] = (await jobs()).filter(({ metadata }) => metadata.name === job.metadata.name);
      return found !== undefined && found.metadata.uid !== job.metadata.uid && found;
    });
    expect(again.spec?.template.spec?.containers[0]?.resources?.limits).toEqual({ memory: '4Gi' });
    await buildOnce('two');
    expect((await ready('Available')).lastFailure).toBeUndefined();
  });

  test('that may pass is tried again by the Job, and told meanwhile', async () => {
    await fresh();
    await createImage({ config: CONFIG, build: { retries: 1 } });
    const { pod } = await building();
    await fail(pod, 'RegistryUnreachable', 75, 'registry.test does not answer');
    const retrying = await ready('RegistryUnreachable');
    expect(condition(retrying, 'Reconciling')?.status).toBe('True');
    expect(retrying.build?.job).toBeDefined();
    expect(retrying.lastFailure?.message).toBe('registry.test does not answer');
    const next = await until(
      'the next pod',
      async () =>
        (await pods()).find(
          ({ metadata, status: of }) => metadata.name !== pod.metadata.name && of?.phase === 'Pending',
        ),
      40_000,
    );
    await endPod(next, { exitCode: 137, reason: 'OOMKilled' });
    const failed = await until('the end of the Job', async () => {
      const now = await status();
      return now.build === undefined && now;
    });
    expect(condition(failed, 'Ready')?.reason).toBe('OutOfMemory');
    expect(condition(failed, 'Stalled')).toBeUndefined();
    expect(condition(failed, 'Reconciling')?.reason).toBe('BuildRetrying');
    expect(failed.build).toBeUndefined();
  });

  test('of storage: an artifact that is not what the build says is not taken', async () => {
    await fresh();
    await createImage();
    const { pod } = await building();
    const record = await storeArtifact('web', 'one');
    await store.delete([inNamespace(namespace, artifactKey('web', record.digest, 'kernel'))], { signal });
    await succeed(pod, record);
    const failed = await ready('DigestMismatch');
    expect(failed.artifact).toBeUndefined();
    expect(failed.lastFailure?.message).toContain('kernel is not there');
  });

  test('by admission is told with what the API server says', async () => {
    await fresh();
    type Quota = KubeObject & { spec: { hard: Record<string, string> } };
    const quotas = resource<Quota>({
      group: '',
      version: 'v1',
      plural: 'resourcequotas',
      kind: 'ResourceQuota',
    });
    const quota: Quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none', namespace },
      spec: { hard: { 'count/jobs.batch': '0' } },
    };
    await client.create(quotas, quota, { signal });
    await createImage();
    const refused = await ready('PodRefused');
    expect(condition(refused, 'Ready')?.message).toContain('exceeded quota');
  });

  test('by a name that is taken leaves the other alone', async () => {
    await fresh();
    await createImage({ config: CONFIG, suspend: true });
    await ready('Suspended');
    const twin = await buildNameOf();
    const job: Job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: twin, namespace },
      spec: {
        suspend: true,
        template: { spec: { restartPolicy: 'Never', containers: [{ name: 'x', image: 'x' }] } },
      },
    };
    const theirs = await client.create(JOBS, job, { signal });
    await patchImage({ spec: { suspend: false } });
    const failed = await ready('NameConflict');
    expect(condition(failed, 'Stalled')?.message).toContain(twin);
    expect((await client.get(JOBS, { namespace, name: twin }, { signal })).metadata.uid).toBe(
      theirs.metadata.uid,
    );
  });

  /** The name that the build will have: seen on a twin of the image. */
  async function buildNameOf(): Promise<string> {
    const { buildHash, buildInputs, buildName } = await import('./build-hash.ts');
    const { parseImage } = await import('../../api/image.ts');
    const object = await image();
    const context = {
      configMaps: new Map<string, string>(),
      salts: ['one'],
      registries: { insecureRegistries: [] },
      refresh: '',
    };
    return buildName('web', buildHash(buildInputs(parseImage(object), object.spec?.config, context)));
  }
});

describe('what a build is told of trust and of registries', () => {
  const PEM = '-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n';
  const VERIFICATION = {
    publicKeys: [{ pem: PEM }, { configMapKeyRef: { name: 'trust', key: 'cosign.pub' } }],
    identities: [{ issuer: 'https://issuer.example', subjectPattern: '.*@team[.]example' }],
    trustedRoot: { configMapKeyRef: { name: 'trust', key: 'trusted_root.json' } },
  };
  const trusting = { config: { ...CONFIG, trust: { org: ['example'] } }, verification: VERIFICATION };
  const requestOf = async (job: Stored<Job>): Promise<BuildRequest> => {
    const key = { namespace, name: job.metadata.name };
    const { data } = await client.get(CONFIG_MAPS, key, { signal });
    return JSON.parse(data?.['request.json'] ?? '') as BuildRequest;
  };

  test('is in its request and its mounts; keys that change start another build', async () => {
    await fresh();
    await createImage(trusting);
    await ready('ConfigNotFound');
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'trust', namespace } } as const;
    const data = { 'cosign.pub': PEM, 'trusted_root.json': '{}' };
    await client.create(CONFIG_MAPS, { ...map, data }, { signal });
    const { job, pod } = await building();
    expect(await requestOf(job)).toMatchObject({
      config: { inline: { trust: { org: ['example'] } } },
      verification: {
        publicKeys: [{ pem: PEM }, { file: 'keys/1/cosign.pub' }],
        identities: VERIFICATION.identities,
        trustedRoot: 'trusted-root/trusted_root.json',
      },
    });
    const items = (key: string, path: string) => ({ configMap: { name: 'trust', items: [{ key, path }] } });
    const mounted = pod.spec?.volumes?.find(({ name }) => name === 'verification')?.projected?.sources;
    expect(mounted).toMatchObject([
      items('cosign.pub', 'keys/1/cosign.pub'),
      items('trusted_root.json', 'trusted-root/trusted_root.json'),
    ]);
    await fail(pod, 'InputVerificationFailed', 65, 'kernel: image example/kernel:1 has no signature');
    const { lastFailure } = await stalled('InputVerificationFailed');
    expect(lastFailure?.message).toContain('has no signature');

    const key = { namespace, name: 'trust' };
    await client.patch(CONFIG_MAPS, key, { data: { 'cosign.pub': `${PEM}\n` } }, { signal });
    await building('web', job.metadata.name);
    const record = await buildOnce('signed');
    expect((await status()).artifact).toMatchObject({ digest: record.digest, reason: 'Created' });
  });

  test('comes of what the operator was told of mirrors, authorities and proxies', async () => {
    await manager.stop();
    const registries = {
      insecureRegistries: ['registry.test:5000'],
      registryMirrors: { 'docker.io': ['mirror.test/hub'] },
      registryAuthorities: { 'mirror.test': 'PEM' },
    };
    const proxy = { https: 'http://proxy.test:3128', none: '.test' };
    manager = startManager({ registries, proxy });
    await fresh();
    await createImage();
    const { job, pod } = await building();
    expect(await requestOf(job)).toMatchObject(registries);
    expect(await requestOf(job)).not.toHaveProperty('verification');
    const [container] = pod.spec?.containers ?? [];
    expect(container?.env).toEqual(
      expect.arrayContaining([
        { name: 'HTTPS_PROXY', value: proxy.https },
        { name: 'NO_PROXY', value: proxy.none },
      ]),
    );
    expect(container?.env?.map(({ name }) => name)).not.toContain('HTTP_PROXY');
    await buildOnce('mirrored');
  });
});

describe('a manager killed at any moment', () => {
  test('between status and Job, the next one makes the Job', async () => {
    await fresh();
    await createImage();
    const { job } = await building();
    await manager.stop();
    await client.delete(JOBS, { namespace, name: job.metadata.name }, { signal, propagation: 'Background' });
    await until('the end of the Job', async () => (await jobs()).length === 0 && (await pods()).length === 0);
    manager = startManager();
    await buildOnce('one');
    expect((await jobs()).map(({ metadata }) => metadata.name)).toEqual([job.metadata.name]);
  });

  test('while a build runs, the next one takes its result; two at once make no second Job', async () => {
    await fresh();
    await createImage();
    const { pod } = await building();
    await manager.stop();
    await succeed(pod, await storeArtifact('web', 'one'));
    manager = startManager();
    const second = startManager();
    await ready('Available');
    await patchImage({ spec: { config: { ...CONFIG, init: ['example/init:2'] } } });
    await buildOnce('two');
    await second.stop();
    expect(await jobs()).toHaveLength(2);
    expect((await status()).history).toHaveLength(1);
  });

  test('over a restart of the API server it carries on', async () => {
    await fresh();
    await createImage();
    const { pod } = await building();
    await plane.restartApiServer(signal);
    await succeed(pod, await storeArtifact('web', 'one'));
    await until('the artifact', async () => (await status()).artifact !== undefined, 60_000);
  });
});

describe('what is stored', () => {
  const stored = async (): Promise<readonly string[]> => {
    const folders = new Set<string>();
    for await (const { key } of store.list(`${namespace}/`, { signal }))
      folders.add(key.split('/').slice(1, 3).join('/'));
    return [...folders];
  };
  const folderOf = (record: BuildRecord): string => `web/${record.digest.replace(':', '-')}`;

  test('beyond historyLimit is removed, except what a machine holds', async () => {
    await manager.stop();
    manager = startManager({ graceMs: 0 });
    await fresh();
    await createImage({ config: CONFIG, historyLimit: 0 });
    const first = await buildOnce('one');
    await client.create(
      MACHINES,
      {
        apiVersion: 'linuxkit.dev/v1alpha1',
        kind: 'LinuxKitMachine',
        metadata: { name: 'vm', namespace },
        spec: { imageRef: { name: 'web', digest: first.digest }, memory: '64Mi' },
      } as never,
      { signal },
    );
    await patchImage({ spec: { config: { ...CONFIG, init: ['example/init:2'] } } });
    const second = await buildOnce('two');
    expect((await status()).history?.map(({ digest }) => digest)).toEqual([first.digest]);
    await patchImage({ spec: { config: { ...CONFIG, init: ['example/init:3'] } } });
    const third = await buildOnce('three');
    await until('the removal of the second', async () => (await stored()).length === 2);
    expect([...(await stored())].sort()).toEqual([folderOf(first), folderOf(third)].sort());
    expect(await stored()).not.toContain(folderOf(second));
    await until('the event', async () => manager.events.some(({ reason }) => reason === 'ArtifactRemoved'));

    await client.delete(MACHINES, { namespace, name: 'vm' }, { signal });
    await until('the removal of the first', async () => (await stored()).length === 1);
    expect((await status()).history).toBeUndefined();
  });

  test('goes with the image, but not before the machine that boots it', async () => {
    await fresh();
    await createImage();
    const record = await buildOnce('one');
    await client.create(
      MACHINES,
      {
        apiVersion: 'linuxkit.dev/v1alpha1',
        kind: 'LinuxKitMachine',
        metadata: { name: 'vm', namespace },
        spec: { imageRef: { name: 'web' }, memory: '64Mi' },
      } as never,
      { signal },
    );
    await client.patch(
      MACHINES,
      { namespace, name: 'vm' },
      { status: { currentDigest: record.digest } },
      { signal, subresource: 'status' },
    );
    await client.delete(IMAGES, { namespace, name: 'web' }, { signal });
    const blocked = await ready('ArtifactInUse');
    expect(condition(blocked, 'Ready')?.message).toMatch(new RegExp(`machine vm .*${record.digest}`));
    expect(await stored()).toEqual([folderOf(record)]);
    await client.delete(MACHINES, { namespace, name: 'vm' }, { signal });
    await until(
      'the end of the image',
      async () => (await client.find(IMAGES, { namespace, name: 'web' }, { signal })) === undefined,
    );
    expect(await stored()).toEqual([]);
    await until('the end of its Jobs', async () => (await jobs()).length === 0);
    await until('the end of its requests', async () =>
      (await client.list(CONFIG_MAPS, { namespace, signal })).items.every(
        ({ metadata }) => !metadata.name.startsWith('web-'),
      ),
    );
  });

  test('is kept when the policy says so; a running build ends with the image', async () => {
    await fresh();
    await createImage({ config: CONFIG, deletionPolicy: 'Retain' });
    const record = await buildOnce('one');
    await patchImage({ spec: { config: { ...CONFIG, init: ['example/init:2'] } } });
    await building();
    await client.delete(IMAGES, { namespace, name: 'web' }, { signal });
    await until(
      'the end of the image',
      async () => (await client.find(IMAGES, { namespace, name: 'web' }, { signal })) === undefined,
    );
    expect(await stored()).toEqual([folderOf(record)]);
  });

  test('and vanishes behind our back is built again', async () => {
    await fresh();
    await createImage();
    const record = await buildOnce('one');
    await manager.stop();
    await store.delete([inNamespace(namespace, artifactKey('web', record.digest, 'build.json'))], { signal });
    for (const job of await jobs())
      await client.delete(
        JOBS,
        { namespace, name: job.metadata.name },
        { signal, propagation: 'Background' },
      );
    await until('the end of its Jobs', async () => (await jobs()).length === 0);
    manager = startManager();
    await buildOnce('one');
    expect(manager.events.map(({ reason }) => reason)).toContain('ArtifactMissing');
  });
});
