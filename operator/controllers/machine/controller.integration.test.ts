import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { isReady, MachineCluster } from '../../../e2e/machine/machine-cluster.ts';
import { waitFor } from '../../../e2e/process/wait.ts';
import { sampleArtifact } from '../../kubevirt/sample.ts';
import type { VirtualMachine } from '../../kubevirt/types.ts';
import type { KubeObject } from '../../runtime/objects.ts';
import { CONFIG_MAPS, PODS, resource } from '../../runtime/resources.ts';
import { MACHINES } from '../image/objects.ts';
import { VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES } from './caches.ts';

const signal = AbortSignal.timeout(900_000);
let cluster: MachineCluster;
let namespace = '';
/** The CRDs of KubeVirt are not at hand: those of our own let fields pass that they do not know. */
let smallCrds = false;

beforeAll(async () => {
  cluster = await MachineCluster.start(signal);
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

test('without KubeVirt a machine says so', async () => {
  await cluster.writeMachine();
  const status = await cluster.untilReady('KubeVirtMissing');
  expect(status.conditions?.find((condition) => condition.type === 'Stalled')?.message).toContain(
    'KubeVirt has to be installed',
  );
  await cluster.untilTold('KubeVirtMissing');
  expect(cluster.told()).toEqual(['KubeVirtMissing']);
});

test('and finds it once it is there; then waits for its image, and runs it', async () => {
  smallCrds = await cluster.installKubeVirt();
  await cluster.writeMachine();
  await cluster.untilReady('ImageNotFound');
  await cluster.writeImage(undefined);
  await cluster.untilReady('ImageNotReady');
  const artifact = sampleArtifact();
  await cluster.writeImage(artifact);
  const status = await cluster.untilReady('UpToDate');
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
  const before = await cluster.client.get(VIRTUAL_MACHINES, key, { signal });
  const { resourceVersion } = (await cluster.readMachine()).metadata;
  const looks = cluster.reconciled;
  await cluster.writeImage({ ...artifact, reason: 'Requested' });
  await waitFor('another look', () => cluster.reconciled > looks, { signal, timeout: 60_000 });
  expect((await cluster.readMachine()).metadata.resourceVersion).toBe(resourceVersion);
  expect((await cluster.client.get(VIRTUAL_MACHINES, key, { signal })).metadata.generation).toBe(
    before.metadata.generation,
  );
});

test('follows its image, one machine at a time', async () => {
  const [first, second] = [sampleArtifact(), sampleArtifact({}, 'b')];
  await cluster.writeImage(first);
  await cluster.writeMachine({ replicas: 3 });
  await cluster.untilReady('UpToDate', first.digest);
  const before = await cluster.instanceUids();
  let leastReady = 3;
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const { items } = await cluster.client.list(VIRTUAL_MACHINE_INSTANCES, { namespace, signal });
      leastReady = Math.min(leastReady, items.filter(isReady).length);
    }
  })();
  await cluster.writeImage(second);
  const status = await cluster.untilReady('UpToDate', second.digest);
  watching.abort();
  await watch;
  expect(leastReady).toBe(2);
  expect(status).toMatchObject({ updatedReplicas: 3, currentDigest: second.digest });
  const after = await cluster.instanceUids();
  for (const [name, uid] of before) expect(after.get(name)).not.toBe(uid);
});

test('an image that cannot be pulled halts after one; a good one heals it', async () => {
  const [good, bad, better] = [sampleArtifact({}, 'c'), sampleArtifact({}, 'd'), sampleArtifact({}, 'e')];
  cluster.brokenImages.add(bad.bootImage.digest);
  await cluster.writeImage(good);
  await cluster.writeMachine({ replicas: 3 });
  await cluster.untilReady('UpToDate', good.digest);
  cluster.events.length = 0;
  await cluster.writeImage(bad);
  const status = await cluster.untilReady('MachineFailing', bad.digest);
  expect(status.machines?.map((row) => row.bootedDigest)).toEqual([good.digest, good.digest, bad.digest]);
  expect(status.machines?.[2]).toMatchObject({
    phase: 'Failing',
    ready: false,
    message: expect.stringContaining('ImagePullBackOff') as unknown,
  });
  expect(status.currentDigest).toBe(good.digest);
  await cluster.untilTold('MachineFailing');
  await cluster.writeImage(better);
  expect(await cluster.untilReady('UpToDate', better.digest)).toMatchObject({
    readyReplicas: 3,
    currentDigest: better.digest,
  });
});

test('a machine of somebody else is left alone, and said so', async () => {
  await cluster.writeImage(sampleArtifact());
  const foreign = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'web-1', namespace },
    spec: { runStrategy: 'Halted', template: { spec: { domain: { devices: {} } } } },
  };
  const made = await cluster.client.create<VirtualMachine>(VIRTUAL_MACHINES, foreign, { signal });
  await cluster.writeMachine({ replicas: 2 });
  const status = await cluster.untilReady('NameConflict');
  expect(status.conditions?.find((condition) => condition.type === 'Stalled')?.message).toContain('web-1');
  await waitFor('web-0 to run', async () => (await cluster.readMachine()).status?.machines?.[0]?.ready, {
    signal,
    timeout: 60_000,
  });
  const key = { namespace, name: 'web-1' };
  expect((await cluster.client.get(VIRTUAL_MACHINES, key, { signal })).spec).toEqual(made.spec);
  await cluster.client.delete(VIRTUAL_MACHINES, key, { signal });
  await cluster.untilReady('UpToDate');
});

test('what somebody changed by hand is brought back', async () => {
  await cluster.writeImage(sampleArtifact());
  await cluster.writeMachine();
  await cluster.untilReady('UpToDate');
  const key = { namespace, name: 'web-0' };
  await cluster.client.patch(
    VIRTUAL_MACHINES,
    key,
    { spec: { runStrategy: 'Halted' } },
    { signal, fieldManager: 'virt-api' },
  );
  await waitFor(
    'the run strategy',
    async () => (await cluster.client.get(VIRTUAL_MACHINES, key, { signal })).spec.runStrategy === 'Always',
    { signal, timeout: 60_000 },
  );
  await cluster.untilTold('MachineRestored');
  await cluster.client.delete(VIRTUAL_MACHINES, key, { signal, propagation: 'Background' });
  await waitFor(
    'another',
    async () => (await cluster.client.find(VIRTUAL_MACHINES, key, { signal })) !== undefined,
    {
      signal,
      timeout: 60_000,
    },
  );
  await cluster.untilReady('UpToDate');
});

test('metadata goes into ConfigMaps, which go with the machines that were started with them', async () => {
  await cluster.writeImage(sampleArtifact());
  await cluster.writeMachine({ metadata: { hostname: 'one' } });
  await cluster.untilReady('UpToDate');
  const data = async (): Promise<readonly string[]> => {
    const { items } = await cluster.client.list(CONFIG_MAPS, {
      namespace,
      signal,
      labelSelector: 'linuxkit.dev/machine=web',
    });
    return items.map((item) => item.data?.['user-data'] ?? '');
  };
  expect(await data()).toEqual(['{"hostname":{"content":"one-0","perm":"0644"}}']);
  await cluster.writeMachine({ metadata: { hostname: 'two' } });
  await waitFor(
    'the new ConfigMap alone',
    async () => {
      const all = await data();
      return all.length === 1 && all[0]?.includes('two-0');
    },
    { signal, timeout: 60_000 },
  );
  await cluster.untilReady('UpToDate');
});

test('scales down from the top, halts, and leaves nothing behind', async () => {
  await cluster.writeImage(sampleArtifact());
  await cluster.writeMachine({ replicas: 3 });
  await cluster.untilReady('UpToDate');
  await cluster.writeMachine({ replicas: 1 });
  await cluster.untilReady('UpToDate');
  await waitFor(
    'one virtual machine',
    async () => {
      const { items } = await cluster.client.list(VIRTUAL_MACHINES, { namespace, signal });
      return items.length === 1 && items[0]?.metadata.name === 'web-0';
    },
    { signal, timeout: 60_000 },
  );
  await cluster.writeMachine({ replicas: 1, runStrategy: 'Halted' });
  await cluster.untilReady('Halted');
  await cluster.client.delete(MACHINES, { namespace, name: 'web' }, { signal });
  await waitFor(
    'nothing',
    async () => {
      const lists = await Promise.all(
        [VIRTUAL_MACHINES, VIRTUAL_MACHINE_INSTANCES, PODS].map((type) =>
          cluster.client.list<KubeObject>(type as never, { namespace, signal }),
        ),
      );
      return lists.every((list) => list.items.length === 0);
    },
    { signal, timeout: 90_000 },
  );
});

test('what would boot into silence is refused before anything is made', async () => {
  await cluster.writeImage(sampleArtifact());
  await cluster.writeMachine({ memory: '64Mi' });
  const status = await cluster.untilReady('InvalidMachine');
  expect(status.conditions?.find((condition) => condition.type === 'Stalled')?.message).toMatch(
    /^spec\.memory: 64Mi cannot hold/,
  );
  expect((await cluster.client.list(VIRTUAL_MACHINES, { namespace, signal })).items).toEqual([]);
});

test('an instance type with too little memory is refused as well, until it has more', async () => {
  const type = resource<KubeObject & { readonly spec: object }>({
    group: 'instancetype.kubevirt.io',
    version: 'v1beta1',
    plural: 'virtualmachineinstancetypes',
    kind: 'VirtualMachineInstancetype',
  });
  const give = async (guest: string): Promise<void> => {
    const metadata = { name: 'small', namespace };
    const apiVersion = 'instancetype.kubevirt.io/v1beta1';
    const object = { apiVersion, kind: type.kind, metadata, spec: { cpu: { guest: 1 }, memory: { guest } } };
    await cluster.client.apply(type, object, { signal, fieldManager: 'test' });
  };
  await give('64Mi');
  await cluster.writeImage(sampleArtifact());
  await cluster.writeMachine({
    memory: undefined,
    instancetype: { name: 'small', kind: 'VirtualMachineInstancetype' },
  });
  const status = await cluster.untilReady('InvalidMachine');
  expect(status.conditions?.find((condition) => condition.type === 'Ready')?.message).toMatch(
    /^spec\.instancetype: small: 64Mi cannot hold/,
  );
  expect((await cluster.client.list(VIRTUAL_MACHINES, { namespace, signal })).items).toEqual([]);

  await give('512Mi');
  await cluster.untilReady('UpToDate');
  const [instance] = await cluster.instances();
  expect(instance?.spec?.domain.memory?.guest).toBe('512Mi');
});

test.each([
  ['of the wrong type', { domain: { devices: { disks: 'none' } } }, /devices\.disks: expected list/, true],
  ['that it does not know', { nonsense: true }, /nonsense: field not declared in schema/, false],
])(
  'a field %s in the template is refused in the API server’s words',
  async (_title, spec, message, always) => {
    await cluster.writeImage(sampleArtifact());
    await cluster.writeMachine({ template: { spec } });
    if (smallCrds && !always) return void (await cluster.untilReady('UpToDate'));
    const status = await cluster.untilReady('Refused');
    expect(status.conditions?.find((condition) => condition.type === 'Ready')?.message).toMatch(message);
    expect(status.conditions?.map((condition) => condition.type)).toContain('Stalled');
  },
);
