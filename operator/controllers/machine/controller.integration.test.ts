import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { load } from 'js-yaml';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { ControlPlane } from '../../../e2e/cluster/control-plane.ts';
import { reconcileAll } from '../../../e2e/kubevirt/controller.ts';
import { kubeVirtCrds } from '../../../e2e/kubevirt/manifests.ts';
import { waitFor } from '../../../e2e/process/wait.ts';
import { silentReporter } from '../../../e2e/progress/reporter.ts';
import type { Artifact } from '../../api/image.ts';
import { type LinuxKitMachine, type MachineStatus, parseMachine } from '../../api/machine.ts';
import type { MachineClaim } from '../../kubevirt/claim.ts';
import { sampleArtifact } from '../../kubevirt/sample.ts';
import type { VirtualMachine, VirtualMachineInstance } from '../../kubevirt/types.ts';
import { ClusterAccess } from '../../runtime/access.ts';
import { ApiClient } from '../../runtime/api-client.ts';
import type { EventRecorder } from '../../runtime/event-recorder.ts';
import { SILENT_LOGGER } from '../../runtime/logger.ts';
import { NO_METRICS } from '../../runtime/metrics.ts';
import type { KubeObject } from '../../runtime/objects.ts';
import { CONFIG_MAPS, PODS, type Pod, resource } from '../../runtime/resources.ts';
import { IMAGES, type ImageObject, MACHINES } from '../image/objects.ts';
import {
  CLAIMS,
  type MachineCaches,
  machineCaches,
  VIRTUAL_MACHINE_INSTANCES,
  VIRTUAL_MACHINES,
} from './caches.ts';
import { machineController } from './controller.ts';
import { RestartLedger } from './restart-ledger.ts';
import { CONTROLLER_REVISIONS } from './revision.ts';

/**
 * The controller against a real API server with garbage collection. KubeVirt's controllers are those of
 * the stand-in; what a kubelet would say of the pods is written by `playKubelet`.
 */

const signal = AbortSignal.timeout(900_000);
const CRDS = resource<KubeObject>({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
});

let plane: ControlPlane;
let client: ApiClient;
let caches: MachineCaches;
const stop = new AbortController();
const running: Promise<unknown>[] = [];
const events: { readonly name: string; readonly reason: string; readonly note: string }[] = [];
const brokenImages = new Set<string>();
/** Bounds on restarts; a test may set them for its time. */
const limits = { cluster: 0, namespace: 0, node: 0 };
let namespace = '';
let count = 0;
let reconciled = 0;

beforeAll(async () => {
  plane = await ControlPlane.start(silentReporter, signal, { controllers: true });
  client = new ApiClient(ClusterAccess.load({ file: plane.kubeconfig }));
  const folder = join(import.meta.dirname, '../../../crds');
  const own = await Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')));
  for (const document of own) await applyCrd(document);
  const recorder: EventRecorder = {
    record: (regarding, event) =>
      events.push({ name: regarding.metadata.name, reason: event.reason, note: event.note }),
  };
  caches = machineCaches(client, { logger: SILENT_LOGGER });
  const controller = machineController({
    client,
    caches,
    recorder,
    logger: SILENT_LOGGER,
    metrics: {
      ...NO_METRICS,
      controller: () => ({ ...NO_METRICS.controller(''), reconciled: () => void (reconciled += 1) }),
    },
    render: { bootRegistryHost: '127.0.0.1:30500' },
    ledger: new RestartLedger(limits, () => caches.machines.list()),
  });
  running.push(...Object.values(caches).map((cache) => cache.run(stop.signal)), controller.run(stop.signal));
});

afterAll(async () => {
  stop.abort();
  await Promise.allSettled(running);
  await client.access[Symbol.asyncDispose]();
  await plane.stop();
});

// Each test is a few waits of seconds; on a busy machine they may take minutes together.
vi.setConfig({ testTimeout: 300_000 });

beforeEach(async () => {
  count += 1;
  namespace = `test-${count}`;
  const NAMESPACES = resource<KubeObject>({
    group: '',
    version: 'v1',
    plural: 'namespaces',
    kind: 'Namespace',
    namespaced: false,
  });
  await client.create(
    NAMESPACES,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { signal },
  );
});

async function applyCrd(document: string): Promise<void> {
  const crd = load(document) as KubeObject;
  await client.apply(CRDS, crd, { signal, fieldManager: 'test' });
  await waitFor(
    `CRD ${crd.metadata.name}`,
    async () => {
      const { status } = (await client.get(CRDS, { name: crd.metadata.name }, { signal })) as {
        readonly status?: {
          readonly conditions?: readonly { readonly type: string; readonly status: string }[];
        };
      };
      return status?.conditions?.some(
        (condition) => condition.type === 'Established' && condition.status === 'True',
      );
    },
    { signal, timeout: 60_000 },
  );
}

/** Pods run, and are ready at once, unless their boot image is said to be broken. */
async function playKubelet(): Promise<void> {
  const { items } = await client.list(PODS, { signal, labelSelector: 'kubevirt.io=virt-launcher' });
  for (const pod of items) {
    if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === 'Running') continue;
    const image =
      pod.spec?.volumes?.find((volume) => volume.name === 'kernel-boot-volume')?.image?.reference ?? '';
    const broken = [...brokenImages].some((digest) => image.endsWith(digest));
    const state = broken
      ? { waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}"` } }
      : { running: { startedAt: new Date().toISOString() } };
    const status = {
      phase: broken ? 'Pending' : 'Running',
      podIP: '10.244.0.7',
      conditions: [{ type: 'Ready', status: broken ? 'False' : 'True' }],
      containerStatuses: [
        {
          name: 'compute',
          ready: !broken,
          restartCount: 0,
          image: 'launcher',
          imageID: '',
          started: !broken,
          state,
        },
      ],
    };
    const key = { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name };
    await client.patch<Pod>(PODS, key, { status }, { signal, subresource: 'status' }).catch(gone);
  }
}

function gone(error: unknown): void {
  if (
    !(error instanceof Error && 'code' in error && (error.code === 'NotFound' || error.code === 'Conflict'))
  )
    throw error;
}

async function playKubeVirt(): Promise<void> {
  while (!stop.signal.aborted) {
    await reconcileAll(client, 'launcher', new Date(), signal).catch(gone);
    await playKubelet();
    await pause(50);
  }
}

async function writeImage(artifact: Artifact | undefined, name = 'web'): Promise<void> {
  const head = { apiVersion: 'linuxkit.dev/v1alpha1', kind: 'LinuxKitImage', metadata: { name, namespace } };
  const options = { signal, fieldManager: 'test' };
  // The API server fills in what is left out here.
  const image = { ...head, spec: { config: { kernel: { image: 'kernel' } } } } as unknown as ImageObject;
  await client.apply(IMAGES, image, options);
  if (artifact !== undefined) await client.applyStatus(IMAGES, { ...head, status: { artifact } }, options);
}

async function writeMachine(spec: Readonly<Record<string, unknown>> = {}, name = 'web'): Promise<void> {
  const machine = {
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitMachine',
    metadata: { name, namespace },
    spec: { imageRef: { name: 'web' }, memory: '512Mi', ...spec },
  };
  await client.apply(MACHINES, machine, { signal, fieldManager: 'test' });
}

async function readMachine(name = 'web'): Promise<LinuxKitMachine> {
  return parseMachine(await client.get(MACHINES, { namespace, name }, { signal }));
}

async function untilReady(reason: string, digest?: string, name = 'web'): Promise<MachineStatus> {
  return await waitFor(
    `machine ${name} to be ${reason}`,
    async () => {
      const { status, metadata } = await readMachine(name);
      const ready = status?.conditions?.find((condition) => condition.type === 'Ready');
      const current =
        status?.observedGeneration === metadata.generation &&
        ready?.observedGeneration === metadata.generation;
      if (!current || ready.reason !== reason || (digest !== undefined && status.targetDigest !== digest)) {
        throw new Error(JSON.stringify(status));
      }
      return status;
    },
    { signal, timeout: 90_000 },
  );
}

async function instanceUids(): Promise<Map<string, string>> {
  const { items } = await client.list(VIRTUAL_MACHINE_INSTANCES, { namespace, signal });
  return new Map(items.map((vmi) => [vmi.metadata.name, vmi.metadata.uid]));
}

function isReady({ metadata, status }: VirtualMachineInstance): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ===
      true
  );
}

/** One that somebody else has made under the name of a machine's claim. */
function foreignClaim(name: string): MachineClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace },
    spec: {
      accessModes: ['ReadWriteOnce'],
      volumeMode: 'Filesystem',
      resources: { requests: { storage: '1Gi' } },
    },
  };
}

function told(name = 'web'): readonly string[] {
  return events.filter((event) => event.name === name).map((event) => event.reason);
}

test('without KubeVirt a machine says so', async () => {
  await writeMachine();
  const status = await untilReady('KubeVirtMissing');
  expect(status.conditions?.find((condition) => condition.type === 'Stalled')?.message).toContain(
    'KubeVirt has to be installed',
  );
  expect(told()).toEqual(['KubeVirtMissing']);
});

test('and finds it once it is there; then waits for its image, and runs it', async () => {
  const { documents } = await kubeVirtCrds();
  for (const document of documents) await applyCrd(document);
  running.push(playKubeVirt());
  await writeMachine();
  await untilReady('ImageNotFound');
  await writeImage(undefined);
  await untilReady('ImageNotReady');
  const artifact = sampleArtifact();
  await writeImage(artifact);
  const status = await untilReady('UpToDate');
  expect(status).toMatchObject({
    replicas: 1,
    readyReplicas: 1,
    availableReplicas: 1,
    updatedReplicas: 1,
    selector: 'linuxkit.dev/machine=web',
    currentDigest: artifact.digest,
    targetDigest: artifact.digest,
    machines: [
      {
        name: 'web-0',
        ordinal: 0,
        phase: 'Running',
        ready: true,
        updated: true,
        bootedDigest: artifact.digest,
        addresses: ['10.244.0.7'],
      },
    ],
  });
  expect(status.conditions?.map((condition) => condition.type)).toEqual(['Ready']);

  // Looking again at what is as it should be writes nothing.
  const key = { namespace, name: 'web-0' };
  const before = await client.get(VIRTUAL_MACHINES, key, { signal });
  const { resourceVersion } = (await readMachine()).metadata;
  const looks = reconciled;
  await writeImage({ ...artifact, reason: 'Requested' });
  await waitFor('another look', () => reconciled > looks, { signal, timeout: 60_000 });
  expect((await readMachine()).metadata.resourceVersion).toBe(resourceVersion);
  expect((await client.get(VIRTUAL_MACHINES, key, { signal })).metadata.generation).toBe(
    before.metadata.generation,
  );
});

test('follows its image, one machine at a time', async () => {
  const [first, second] = [sampleArtifact(), sampleArtifact({}, 'b')];
  await writeImage(first);
  await writeMachine({ replicas: 3 });
  await untilReady('UpToDate', first.digest);
  const before = await instanceUids();
  let leastReady = 3;
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const { items } = await client.list(VIRTUAL_MACHINE_INSTANCES, { namespace, signal });
      leastReady = Math.min(leastReady, items.filter(isReady).length);
    }
  })();
  await writeImage(second);
  const status = await untilReady('UpToDate', second.digest);
  watching.abort();
  await watch;
  expect(leastReady).toBe(2);
  expect(status).toMatchObject({ updatedReplicas: 3, currentDigest: second.digest });
  const after = await instanceUids();
  for (const [name, uid] of before) expect(after.get(name)).not.toBe(uid);
});

test('an image that cannot be pulled halts after one; a good one heals it', async () => {
  const [good, bad, better] = [sampleArtifact({}, 'c'), sampleArtifact({}, 'd'), sampleArtifact({}, 'e')];
  brokenImages.add(bad.bootImage.digest);
  await writeImage(good);
  await writeMachine({ replicas: 3 });
  await untilReady('UpToDate', good.digest);
  events.length = 0;
  await writeImage(bad);
  const status = await untilReady('MachineFailing', bad.digest);
  expect(status.machines?.map((row) => row.bootedDigest)).toEqual([good.digest, good.digest, bad.digest]);
  expect(status.machines?.[2]).toMatchObject({
    phase: 'Failing',
    ready: false,
    message: expect.stringContaining('ImagePullBackOff') as unknown,
  });
  expect(status.currentDigest).toBe(good.digest);
  expect(told()).toContain('MachineFailing');
  await writeImage(better);
  expect(await untilReady('UpToDate', better.digest)).toMatchObject({
    readyReplicas: 3,
    currentDigest: better.digest,
  });
});

test('an image that does not come up is left for the one before, and stays left', async () => {
  const [good, bad] = [sampleArtifact({}, 'c'), sampleArtifact({}, 'd')];
  brokenImages.add(bad.bootImage.digest);
  await writeImage(good);
  const spec = { replicas: 3, terminationGracePeriodSeconds: 0, update: { progressDeadlineSeconds: 2 } };
  await writeMachine(spec);
  await untilReady('UpToDate', good.digest);
  events.length = 0;
  const before = await instanceUids();
  await writeImage(bad);
  const status = await waitFor(
    'the machines to be back',
    async () => {
      const { status: now } = await readMachine();
      const stalled = now?.conditions?.find((condition) => condition.type === 'Stalled');
      return stalled?.reason === 'RolledBack' && now?.availableReplicas === 3 ? now : undefined;
    },
    { signal, timeout: 90_000 },
  );
  expect(status).toMatchObject({
    targetDigest: good.digest,
    updatedReplicas: 3,
    failedRevision: { digest: bad.digest, reason: 'ProgressDeadlineExceeded', halted: false },
    revisions: [
      { number: 3, digest: good.digest },
      { number: 2, digest: bad.digest, cause: 'artifact' },
    ],
  });
  // What was in its way is told as well, if the node has said so by then.
  expect(status.failedRevision?.message).toMatch(/^web-2 did not become ready with web-[0-9a-f]{10}/);
  expect(told().filter((reason) => reason.startsWith('Roll'))).toEqual([
    'RolloutStarted',
    'RolledBack',
    'RolledBack',
  ]);
  // The others were never touched, and what failed is not tried again.
  const after = await instanceUids();
  expect(['web-0', 'web-1'].map((name) => after.get(name))).toEqual(
    ['web-0', 'web-1'].map((name) => before.get(name)),
  );
  const ours = { labelSelector: 'linuxkit.dev/machine=web' };
  const { items } = await client.list(CONTROLLER_REVISIONS, { namespace, signal, ...ours });
  expect(items.map(({ revision }) => revision).sort((a, b) => a - b)).toEqual([2, 3]);
  await writeMachine({ ...spec, replicas: 4 });
  await waitFor('a fourth', async () => (await readMachine()).status?.availableReplicas === 4, {
    signal,
    timeout: 60_000,
  });
  expect((await readMachine()).status?.targetDigest).toBe(good.digest);
});

test('two objects do not restart more machines together than the cluster may', async () => {
  const [first, second] = [sampleArtifact(), sampleArtifact({}, 'b')];
  await writeImage(first);
  await Promise.all(['web', 'api'].map((name) => writeMachine({ replicas: 3 }, name)));
  await Promise.all(['web', 'api'].map((name) => untilReady('UpToDate', first.digest, name)));
  limits.cluster = 1;
  let most = 0;
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const { items } = await client.list(VIRTUAL_MACHINE_INSTANCES, { namespace, signal });
      most = Math.max(most, 6 - items.filter((vmi) => isReady(vmi)).length);
    }
  })();
  await writeImage(second);
  await Promise.all(['web', 'api'].map((name) => untilReady('UpToDate', second.digest, name)));
  watching.abort();
  await watch;
  limits.cluster = 0;
  expect(most).toBe(1);
});

test('goes on without its image, and makes machines of what it remembers', async () => {
  await writeImage(sampleArtifact());
  await writeMachine({ kernelArgs: 'quiet' });
  await untilReady('UpToDate');
  await client.delete(IMAGES, { namespace, name: 'web' }, { signal });
  await writeMachine({ kernelArgs: 'quiet', replicas: 2 });
  const status = await waitFor(
    'a second machine',
    async () => {
      const { status: now } = await readMachine();
      return now?.availableReplicas === 2 ? now : undefined;
    },
    { signal, timeout: 60_000 },
  );
  expect(status.conditions?.find((condition) => condition.type === 'Ready')).toMatchObject({
    reason: 'ImageNotFound',
    message: expect.stringContaining(`depends on ${sampleArtifact().digest}`) as unknown,
  });
});

test('claims are made by template, and go when the policy says so', async () => {
  const disks = [{ name: 'data', volumeClaimTemplate: { resources: { requests: { storage: '1Gi' } } } }];
  const policy = (whenScaled: string, whenDeleted: string): object => ({
    disks,
    persistentVolumeClaimRetentionPolicy: { whenScaled, whenDeleted },
  });
  const claims = async (): Promise<readonly string[]> => {
    const { items } = await client.list(CLAIMS, { namespace, signal });
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => `${metadata.name} ${metadata.ownerReferences?.[0]?.kind ?? 'kept'}`)
      .sort((a, b) => a.localeCompare(b));
  };
  const until = async (...wanted: readonly string[]): Promise<void> => {
    await waitFor(
      `the claims ${wanted.join(', ')}`,
      async () => {
        const all = await claims();
        if (all.join() !== wanted.join()) throw new Error(all.join());
        return true;
      },
      { signal, timeout: 60_000 },
    );
  };
  await writeImage(sampleArtifact());
  await client.create(CLAIMS, foreignClaim('data-web-1'), { signal });
  await writeMachine({ ...policy('Retain', 'Retain'), replicas: 3 });
  await untilReady('UpToDate');
  await until('data-web-0 kept', 'data-web-1 kept', 'data-web-2 kept');
  await writeMachine({ ...policy('Delete', 'Delete'), replicas: 1 });
  await until('data-web-0 LinuxKitMachine', 'data-web-1 kept');
  await client.delete(MACHINES, { namespace, name: 'web' }, { signal });
  await until('data-web-1 kept');
});

test('a machine that is deleted stays until its virtual machines are gone', async () => {
  await writeImage(sampleArtifact());
  await writeMachine({ replicas: 2 });
  await untilReady('UpToDate');
  let alone = 0;
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const { items } = await client.list(VIRTUAL_MACHINES, { namespace, signal });
      const machine = await client.find(MACHINES, { namespace, name: 'web' }, { signal });
      if (machine === undefined && items.length > 0) alone += 1;
    }
  })();
  await client.delete(MACHINES, { namespace, name: 'web' }, { signal });
  await waitFor(
    'its end',
    async () => (await client.find(MACHINES, { namespace, name: 'web' }, { signal })) === undefined,
    {
      signal,
      timeout: 60_000,
    },
  );
  watching.abort();
  await watch;
  expect((await client.list(VIRTUAL_MACHINES, { namespace, signal })).items).toEqual([]);
  expect(alone).toBe(0);
});

test('a detached machine is left alone until it is not any more', async () => {
  const [first, second] = [sampleArtifact(), sampleArtifact({}, 'b')];
  await writeImage(first);
  await writeMachine({ replicas: 2 });
  await untilReady('UpToDate');
  const key = { namespace, name: 'web-1' };
  const annotate = async (value: string | null): Promise<void> => {
    const patch = { metadata: { annotations: { 'linuxkit.dev/detached': value } } };
    await client.patch(VIRTUAL_MACHINES, key, patch, { signal });
  };
  await annotate('true');
  await waitFor('it to be seen', async () => (await readMachine()).status?.machines?.[1]?.detached, {
    signal,
    timeout: 60_000,
  });
  await writeImage(second);
  const status = await untilReady('UpToDate', second.digest);
  expect(status.machines?.map((row) => row.bootedDigest)).toEqual([second.digest, first.digest]);
  await annotate(null);
  await waitFor('it to follow', async () => (await readMachine()).status?.updatedReplicas === 2, {
    signal,
    timeout: 60_000,
  });
});

test('a machine of somebody else is left alone, and said so', async () => {
  await writeImage(sampleArtifact());
  const foreign = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'web-1', namespace },
    spec: { runStrategy: 'Halted', template: { spec: { domain: { devices: {} } } } },
  };
  const made = await client.create<VirtualMachine>(VIRTUAL_MACHINES, foreign, { signal });
  await writeMachine({ replicas: 2 });
  const status = await untilReady('NameConflict');
  expect(status.conditions?.find((condition) => condition.type === 'Stalled')?.message).toContain('web-1');
  await waitFor('web-0 to run', async () => (await readMachine()).status?.machines?.[0]?.ready, {
    signal,
    timeout: 60_000,
  });
  const key = { namespace, name: 'web-1' };
  expect((await client.get(VIRTUAL_MACHINES, key, { signal })).spec).toEqual(made.spec);
  await client.delete(VIRTUAL_MACHINES, key, { signal });
  await untilReady('UpToDate');
});

test('what somebody changed by hand is brought back', async () => {
  await writeImage(sampleArtifact());
  await writeMachine();
  await untilReady('UpToDate');
  const key = { namespace, name: 'web-0' };
  await client.patch(
    VIRTUAL_MACHINES,
    key,
    { spec: { runStrategy: 'Halted' } },
    { signal, fieldManager: 'virt-api' },
  );
  await waitFor(
    'the run strategy',
    async () => (await client.get(VIRTUAL_MACHINES, key, { signal })).spec.runStrategy === 'Always',
    { signal, timeout: 60_000 },
  );
  await client.delete(VIRTUAL_MACHINES, key, { signal, propagation: 'Background' });
  await waitFor('another', async () => (await client.find(VIRTUAL_MACHINES, key, { signal })) !== undefined, {
    signal,
    timeout: 60_000,
  });
  await untilReady('UpToDate');
});

test('metadata goes into ConfigMaps, which go with the machines that were started with them', async () => {
  await writeImage(sampleArtifact());
  await writeMachine({ metadata: { hostname: 'one' } });
  await untilReady('UpToDate');
  const data = async (): Promise<readonly string[]> => {
    const { items } = await client.list(CONFIG_MAPS, {
      namespace,
      signal,
      labelSelector: 'linuxkit.dev/machine=web',
    });
    return items.map((item) => item.data?.['user-data'] ?? '');
  };
  expect(await data()).toEqual(['{"hostname":{"content":"one-0","perm":"0644"}}']);
  await writeMachine({ metadata: { hostname: 'two' } });
  await waitFor(
    'the new ConfigMap alone',
    async () => {
      const all = await data();
      return all.length === 1 && all[0]?.includes('two-0');
    },
    { signal, timeout: 60_000 },
  );
  await untilReady('UpToDate');
});

test('scales down from the top, halts, and leaves nothing behind', async () => {
  await writeImage(sampleArtifact());
  await writeMachine({ replicas: 3 });
  await untilReady('UpToDate');
  await writeMachine({ replicas: 1 });
  await untilReady('UpToDate');
  await waitFor(
    'one virtual machine',
    async () => {
      const { items } = await client.list(VIRTUAL_MACHINES, { namespace, signal });
      return items.length === 1 && items[0]?.metadata.name === 'web-0';
    },
    { signal, timeout: 60_000 },
  );
  await writeMachine({ replicas: 1, runStrategy: 'Halted' });
  await untilReady('Halted');
  await client.delete(MACHINES, { namespace, name: 'web' }, { signal });
  await waitFor(
    'nothing',
    async () => {
      const lists = await Promise.all(
        [VIRTUAL_MACHINES, VIRTUAL_MACHINE_INSTANCES, PODS].map((type) =>
          client.list<KubeObject>(type as never, { namespace, signal }),
        ),
      );
      return lists.every((list) => list.items.length === 0);
    },
    { signal, timeout: 90_000 },
  );
});

test('what would boot into silence is refused before anything is made', async () => {
  await writeImage(sampleArtifact());
  await writeMachine({ memory: '64Mi' });
  const status = await untilReady('InvalidMachine');
  expect(status.conditions?.find((condition) => condition.type === 'Stalled')?.message).toMatch(
    /^spec\.memory: 64Mi cannot hold/,
  );
  expect((await client.list(VIRTUAL_MACHINES, { namespace, signal })).items).toEqual([]);
});

test.each([
  ['of the wrong type', { domain: { devices: { disks: 'none' } } }, /devices\.disks: expected list/],
  ['that it does not know', { nonsense: true }, /nonsense: field not declared in schema/],
])('a field %s in the template is refused in the API server’s words', async (_title, spec, message) => {
  const { own } = await kubeVirtCrds();
  await writeImage(sampleArtifact());
  await writeMachine({ template: { spec } });
  if (own) return void (await untilReady('UpToDate'));
  const status = await untilReady('Refused');
  expect(status.conditions?.find((condition) => condition.type === 'Ready')?.message).toMatch(message);
  expect(status.conditions?.map((condition) => condition.type)).toContain('Stalled');
});
