import { existsSync } from 'node:fs';
import { ApiextensionsV1Api, CoreV1Api, KubeConfig, VersionApi } from '@kubernetes/client-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../process/wait.ts';
import { Failure } from '../progress/failure.ts';
import { silentReporter } from '../progress/reporter.ts';
import { ControlPlane } from './control-plane.ts';

const signal = AbortSignal.timeout(900_000);
let plane: ControlPlane;
let config: KubeConfig;

beforeAll(async () => {
  plane = await ControlPlane.start(silentReporter, signal, { controllers: true });
  config = new KubeConfig();
  config.loadFromFile(plane.kubeconfig);
});

afterAll(async () => {
  await plane.stop();
  expect(existsSync(plane.dir)).toBe(false);
});

test('answers as Kubernetes 1.36 to an administrator', async () => {
  const version = await config.makeApiClient(VersionApi).getCode();
  expect(version).toMatchObject({ major: '1', minor: '36', gitVersion: 'v1.36.3' });
  const created = await config
    .makeApiClient(CoreV1Api)
    .createNamespace({ body: { metadata: { name: 'first' } } });
  expect(created.metadata?.uid).toBeTypeOf('string');
});

test('keeps its data over a restart of the API server', async () => {
  const api = config.makeApiClient(CoreV1Api);
  await api.createNamespacedConfigMap({
    namespace: 'default',
    body: { metadata: { name: 'kept' }, data: { key: 'value' } },
  });
  await plane.killApiServer(signal);
  await expect(api.readNamespacedConfigMap({ namespace: 'default', name: 'kept' })).rejects.toThrow(
    /ECONNREFUSED|fetch failed|reset/i,
  );
  await plane.startApiServer(signal);
  const kept = await api.readNamespacedConfigMap({ namespace: 'default', name: 'kept' });
  expect(kept.data).toEqual({ key: 'value' });
});

test('with controllers, a deleted namespace goes away', async () => {
  const api = config.makeApiClient(CoreV1Api);
  await api.createNamespace({ body: { metadata: { name: 'goes' } } });
  await api.deleteNamespace({ name: 'goes' });
  await waitFor(
    'the end of the namespace',
    async () => !(await api.listNamespace()).items.some((each) => each.metadata?.name === 'goes'),
    // After a restart of the API server a controller's watch may wait half a minute before it is made again.
    { signal, timeout: 90_000 },
  );
});

test('serves custom resource definitions', async () => {
  const list = await config.makeApiClient(ApiextensionsV1Api).listCustomResourceDefinition();
  expect(list.items).toEqual([]);
});

test('waiting for something that never comes ends with what was seen last', async () => {
  const waiting = waitFor(
    'nothing',
    () => {
      throw new Error('not here');
    },
    { signal, timeout: 100 },
  );
  await expect(waiting).rejects.toThrowError(Failure);
  await expect(waiting).rejects.toMatchObject({ code: 'NotReadyInTime', cause: { message: 'not here' } });
});
