import { afterAll, beforeAll, expect, test } from 'vitest';
import { ControlPlane } from '../../e2e/cluster/control-plane.ts';
import { installCrds } from '../../e2e/cluster/crds.ts';
import { waitFor } from '../../e2e/process/wait.ts';
import { silentReporter } from '../../e2e/progress/reporter.ts';
import { API_VERSION, FINALIZER_ARTIFACTS, IMAGE_KIND, MACHINE_KIND } from '../api/names.ts';
import { IMAGES, MACHINES } from '../controllers/image/objects.ts';
import { ClusterAccess } from '../runtime/access.ts';
import { ApiClient } from '../runtime/api-client.ts';
import type { KubeObject } from '../runtime/objects.ts';
import type { Resource } from '../runtime/resources.ts';
import { parsedObjects, runSelfTest } from './self-test.ts';

const signal = AbortSignal.timeout(900_000);
const metadata = { name: 'tiny', namespace: 'default' };
const OBJECTS = [
  {
    apiVersion: API_VERSION,
    kind: IMAGE_KIND,
    metadata,
    spec: { config: { kernel: { image: 'kernel:1' }, init: ['init:1'] } },
  },
  {
    apiVersion: API_VERSION,
    kind: MACHINE_KIND,
    metadata,
    spec: { imageRef: { name: 'tiny' }, memory: '256Mi' },
  },
];
let plane: ControlPlane;
let client: ApiClient;

beforeAll(async () => {
  plane = await ControlPlane.start(silentReporter, signal);
  client = new ApiClient(ClusterAccess.load({ file: plane.kubeconfig }));
  await installCrds(client, signal);
});

afterAll(async () => {
  await client.access[Symbol.asyncDispose]();
  await plane.stop();
});

/** Plays the controllers: says of each object that it is Ready as soon as it is there. */
async function makeReady(type: Resource<KubeObject>): Promise<void> {
  const found = await waitFor('the object', async () => await client.find(type, metadata, { signal }), {
    signal,
    timeout: 30_000,
  });
  const condition = {
    type: 'Ready',
    status: 'True',
    reason: 'Available',
    message: 'well',
    lastTransitionTime: new Date().toISOString(),
    observedGeneration: found.metadata.generation,
  };
  await client.patch(
    type,
    metadata,
    { status: { conditions: [condition] } },
    { signal, subresource: 'status' },
  );
}

test('applies one after the other, says how they fare, and leaves nothing', async () => {
  const lines: string[] = [];
  const played = makeReady(IMAGES).then(async () => {
    await makeReady(MACHINES);
  });
  await runSelfTest(client, OBJECTS, {
    stop: signal,
    timeoutMs: 60_000,
    say: (line) => void lines.push(line),
  });
  await played;
  expect(
    lines.map((line) => line.replace(/\d+ s/, 'N s')).filter((line) => !line.includes('Pending')),
  ).toEqual([
    'LinuxKitImage default/tiny Available: well',
    'LinuxKitImage default/tiny is Ready after N s',
    'LinuxKitMachine default/tiny Available: well',
    'LinuxKitMachine default/tiny is Ready after N s',
    'removed what was made',
  ]);
  expect(await client.find(IMAGES, metadata, { signal })).toBeUndefined();
  expect(await client.find(MACHINES, metadata, { signal })).toBeUndefined();
});

test('what does not become Ready fails with its state, and is removed all the same', async () => {
  const run = runSelfTest(client, OBJECTS, { stop: signal, timeoutMs: 3_000, say: () => undefined });
  await expect(run).rejects.toMatchObject({
    code: 'NotReady',
    message: expect.stringContaining('LinuxKitImage default/tiny is not Ready: Pending'),
  });
  expect(await client.find(IMAGES, metadata, { signal })).toBeUndefined();
});

test('waits for what a finalizer holds, from a run before', async () => {
  const left = { ...OBJECTS[0], metadata: { ...metadata, finalizers: [FINALIZER_ARTIFACTS] } };
  await client.create(IMAGES, left as unknown as KubeObject, { signal, fieldManager: 'test' });
  const released = waitFor(
    'the deletion to be asked for',
    async () =>
      (await client.find(IMAGES, metadata, { signal }))?.metadata.deletionTimestamp !== undefined ||
      undefined,
    { signal, timeout: 30_000 },
  ).then(async () => {
    await client.patch(IMAGES, metadata, { metadata: { finalizers: [] } }, { signal });
    await makeReady(IMAGES);
  });
  const only = OBJECTS.slice(0, 1);
  await runSelfTest(client, only, { stop: signal, timeoutMs: 60_000, say: () => undefined });
  await released;
});

test.each([
  '{}',
  '[]',
  '[{"kind":"Pod","metadata":{"name":"a","namespace":"b"}}]',
  '[{"kind":"LinuxKitImage"}]',
])('objects %s are refused', (text) => {
  expect(() => parsedObjects(text)).toThrow(expect.objectContaining({ code: 'InvalidObjects' }));
});
