import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { isReady, MachineCluster } from '../../../e2e/machine/machine-cluster.ts';
import { waitFor } from '../../../e2e/process/wait.ts';
import type { MachineClaim } from '../../kubevirt/claim.ts';
import { sampleArtifact } from '../../kubevirt/sample.ts';
import type { KubeObject } from '../../runtime/objects.ts';
import { resource } from '../../runtime/resources.ts';
import { IMAGES, MACHINES } from '../image/objects.ts';
import { CLAIMS, VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES } from './caches.ts';
import { CONTROLLER_REVISIONS } from './revision.ts';

const AUTOSCALERS = resource<KubeObject>({
  group: 'autoscaling',
  version: 'v2',
  plural: 'horizontalpodautoscalers',
  kind: 'HorizontalPodAutoscaler',
  namespaced: true,
});

const signal = AbortSignal.timeout(900_000);
let cluster: MachineCluster;
let namespace = '';

beforeAll(async () => {
  cluster = await MachineCluster.start(signal);
  await cluster.installKubeVirt();
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

// Each test is a few waits of seconds; on a busy machine they may take minutes together.
vi.setConfig({ testTimeout: 300_000 });

beforeEach(async () => {
  await cluster.newNamespace();
  ({ namespace } = cluster);
});

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

test('an image that does not come up is left for the one before, and stays left', async () => {
  const [good, bad] = [sampleArtifact({}, 'c'), sampleArtifact({}, 'd')];
  cluster.brokenImages.add(bad.bootImage.digest);
  await cluster.writeImage(good);
  const spec = { replicas: 3, terminationGracePeriodSeconds: 0, update: { progressDeadlineSeconds: 2 } };
  await cluster.writeMachine(spec);
  await cluster.untilReady('UpToDate', good.digest);
  await cluster.untilTold('RolloutComplete');
  cluster.events.length = 0;
  const before = await cluster.instanceUids();
  await cluster.writeImage(bad);
  const status = await waitFor(
    'the machines to be back',
    async () => {
      const { status: now } = await cluster.readMachine();
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
  const rollouts = (): readonly string[] => cluster.told().filter((reason) => reason.startsWith('Roll'));
  await cluster.until('the way back to be told', () => rollouts().length === 3);
  expect((await cluster.metrics.page()).body).toMatch(
    /^linuxkit_machine_rollouts_total\{result="rolled_back"\} 1$/m,
  );
  expect(rollouts()).toEqual(['RolloutStarted', 'RolledBack', 'RolledBack']);
  // The others were never touched, and what failed is not tried again.
  const after = await cluster.instanceUids();
  expect(['web-0', 'web-1'].map((name) => after.get(name))).toEqual(
    ['web-0', 'web-1'].map((name) => before.get(name)),
  );
  const ours = { labelSelector: 'linuxkit.dev/machine=web' };
  const { items } = await cluster.client.list(CONTROLLER_REVISIONS, { namespace, signal, ...ours });
  expect(items.map(({ revision }) => revision).sort((a, b) => a - b)).toEqual([2, 3]);
  await cluster.writeMachine({ ...spec, replicas: 4 });
  await waitFor('a fourth', async () => (await cluster.readMachine()).status?.availableReplicas === 4, {
    signal,
    timeout: 60_000,
  });
  expect((await cluster.readMachine()).status?.targetDigest).toBe(good.digest);
});

test('two objects do not restart more machines together than the cluster may', async () => {
  const [first, second] = [sampleArtifact(), sampleArtifact({}, 'b')];
  await cluster.writeImage(first);
  await Promise.all(['web', 'api'].map((name) => cluster.writeMachine({ replicas: 3 }, name)));
  await Promise.all(['web', 'api'].map((name) => cluster.untilReady('UpToDate', first.digest, name)));
  cluster.limits.cluster = 1;
  let most = 0;
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const { items } = await cluster.client.list(VIRTUAL_MACHINE_INSTANCES, { namespace, signal });
      most = Math.max(most, 6 - items.filter((vmi) => isReady(vmi)).length);
    }
  })();
  await cluster.writeImage(second);
  await Promise.all(['web', 'api'].map((name) => cluster.untilReady('UpToDate', second.digest, name)));
  watching.abort();
  await watch;
  cluster.limits.cluster = 0;
  expect(most).toBe(1);
});

test('goes on without its image, and makes machines of what it remembers', async () => {
  await cluster.writeImage(sampleArtifact());
  await cluster.writeMachine({ kernelArgs: 'quiet' });
  await cluster.untilReady('UpToDate');
  await cluster.client.delete(IMAGES, { namespace, name: 'web' }, { signal });
  await cluster.writeMachine({ kernelArgs: 'quiet', replicas: 2 });
  const status = await waitFor(
    'a second machine',
    async () => {
      const { status: now } = await cluster.readMachine();
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
    const { items } = await cluster.client.list(CLAIMS, { namespace, signal });
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
  await cluster.writeImage(sampleArtifact());
  await cluster.client.create(CLAIMS, foreignClaim('data-web-1'), { signal });
  await cluster.writeMachine({ ...policy('Retain', 'Retain'), replicas: 3 });
  await cluster.untilReady('UpToDate');
  await until('data-web-0 kept', 'data-web-1 kept', 'data-web-2 kept');
  await cluster.writeMachine({ ...policy('Delete', 'Delete'), replicas: 1 });
  await until('data-web-0 LinuxKitMachine', 'data-web-1 kept');
  await cluster.client.delete(MACHINES, { namespace, name: 'web' }, { signal });
  await until('data-web-1 kept');
});

test('a machine that is deleted stays until its virtual machines are gone', async () => {
  await cluster.writeImage(sampleArtifact());
  await cluster.writeMachine({ replicas: 2 });
  await cluster.untilReady('UpToDate');
  let alone = 0;
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const { items } = await cluster.client.list(VIRTUAL_MACHINES, { namespace, signal });
      const machine = await cluster.client.find(MACHINES, { namespace, name: 'web' }, { signal });
      if (machine === undefined && items.length > 0) alone += 1;
    }
  })();
  await cluster.client.delete(MACHINES, { namespace, name: 'web' }, { signal });
  await waitFor(
    'its end',
    async () => (await cluster.client.find(MACHINES, { namespace, name: 'web' }, { signal })) === undefined,
    {
      signal,
      timeout: 60_000,
    },
  );
  watching.abort();
  await watch;
  expect((await cluster.client.list(VIRTUAL_MACHINES, { namespace, signal })).items).toEqual([]);
  expect(alone).toBe(0);
});

test('a detached machine is left alone until it is not any more', async () => {
  const [first, second] = [sampleArtifact(), sampleArtifact({}, 'b')];
  await cluster.writeImage(first);
  await cluster.writeMachine({ replicas: 2 });
  await cluster.untilReady('UpToDate');
  const key = { namespace, name: 'web-1' };
  const annotate = async (value: string | null): Promise<void> => {
    const patch = { metadata: { annotations: { 'linuxkit.dev/detached': value } } };
    await cluster.client.patch(VIRTUAL_MACHINES, key, patch, { signal });
  };
  await annotate('true');
  await waitFor('it to be seen', async () => (await cluster.readMachine()).status?.machines?.[1]?.detached, {
    signal,
    timeout: 60_000,
  });
  await cluster.writeImage(second);
  const status = await cluster.untilReady('UpToDate', second.digest);
  expect(status.machines?.map((row) => row.bootedDigest)).toEqual([second.digest, first.digest]);
  await annotate(null);
  await waitFor('it to follow', async () => (await cluster.readMachine()).status?.updatedReplicas === 2, {
    signal,
    timeout: 60_000,
  });
  await cluster.untilTold('MachineAttached');
  const detachments = cluster.told().filter((reason) => reason.endsWith('tached'));
  expect(detachments).toEqual(['MachineDetached', 'MachineAttached']);
});

test('a HorizontalPodAutoscaler finds how many there are, and says how many there are to be', async () => {
  await cluster.writeImage(sampleArtifact());
  await cluster.writeMachine();
  await cluster.untilReady('UpToDate');
  const scaleTo = async (replicas: number): Promise<void> => {
    const scaler = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web', namespace },
      spec: {
        scaleTargetRef: { apiVersion: 'linuxkit.dev/v1alpha1', kind: 'LinuxKitMachine', name: 'web' },
        // Both ends: there are no metrics here, and outside of the bounds none are asked for.
        minReplicas: replicas,
        maxReplicas: replicas,
      },
    };
    await cluster.client.apply(AUTOSCALERS, scaler, { signal, fieldManager: 'test' });
    // It looks every fifteen seconds.
    await waitFor(
      `${replicas} machines`,
      async () => {
        const { spec, status } = await cluster.readMachine();
        return spec.replicas === replicas && status?.availableReplicas === replicas;
      },
      { signal, timeout: 90_000 },
    );
  };
  await scaleTo(3);
  await scaleTo(2);
  const scaler = (await cluster.client.get(AUTOSCALERS, { namespace, name: 'web' }, { signal })) as {
    readonly status?: { readonly currentReplicas?: number };
  };
  expect(scaler.status?.currentReplicas).toBe(3);
});
