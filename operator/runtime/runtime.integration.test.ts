import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ControlPlane } from '../../e2e/cluster/control-plane.ts';
import { waitFor } from '../../e2e/process/wait.ts';
import { silentReporter } from '../../e2e/progress/reporter.ts';
import { ClusterAccess } from './access.ts';
import { ApiClient } from './api-client.ts';
import { ApiError, isConflict } from './api-error.ts';
import { ApiEventRecorder } from './event-recorder.ts';
import { FaultProxy } from './fault-proxy.ts';
import { type Change, Informer } from './informer.ts';
import { LeaderElector } from './leader-elector.ts';
import { SILENT_LOGGER } from './logger.ts';
import { NO_METRICS, type WatchMetrics } from './metrics.ts';
import { CONFIG_MAPS, type ConfigMap, LEASES, resource, SECRETS } from './resources.ts';
import { ServingCertificate } from './serving-certificate.ts';

const signal = AbortSignal.timeout(900_000);
let plane: ControlPlane;
let client: ApiClient;
const cleanups: (() => Promise<void>)[] = [];

beforeAll(async () => {
  plane = await ControlPlane.start(silentReporter, signal);
  client = new ApiClient(ClusterAccess.load({ file: plane.kubeconfig }));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

afterAll(async () => {
  await client.access[Symbol.asyncDispose]();
  await plane.stop();
});

const configMap = (
  name: string,
  data: Record<string, string> = {},
  labels: Record<string, string> = {},
): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', labels },
  data,
});

/** A client whose connections pass through a proxy that the test can break. */
async function throughProxy(): Promise<{ readonly proxied: ApiClient; readonly proxy: FaultProxy }> {
  const server = new URL(plane.server);
  const proxy = await FaultProxy.start({ host: server.hostname, port: Number(server.port) });
  const config = new KubeConfig();
  config.loadFromFile(plane.kubeconfig);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error('the kubeconfig has no cluster');
  config.loadFromOptions({
    clusters: [{ ...cluster, server: `https://127.0.0.1:${proxy.port}` }],
    users: config.users,
    contexts: config.contexts,
    currentContext: config.currentContext,
  });
  const access = new ClusterAccess(config);
  cleanups.push(async () => {
    await access[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
  });
  return { proxied: new ApiClient(access), proxy };
}

/** Runs an informer until the test ends. */
function running(informer: { run(signal: AbortSignal): Promise<void> }): void {
  const stop = new AbortController();
  const run = informer.run(stop.signal);
  cleanups.push(async () => {
    stop.abort();
    await run;
  });
}

const code = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  return 'none';
};

test('creates, reads, lists by pages, applies, patches and deletes', async () => {
  const made = await client.create(CONFIG_MAPS, configMap('verbs', { a: '1' }, { test: 'verbs' }), {
    signal,
  });
  expect(made.metadata.uid).not.toBe('');
  expect(await code(client.create(CONFIG_MAPS, configMap('verbs'), { signal }))).toBe('AlreadyExists');
  expect(await client.find(CONFIG_MAPS, { namespace: 'default', name: 'none' }, { signal })).toBeUndefined();

  const applied = await client.apply(CONFIG_MAPS, configMap('verbs', { b: '2' }), {
    signal,
    fieldManager: 'test',
  });
  expect(applied.data).toEqual({ a: '1', b: '2' });
  const again = await client.apply(CONFIG_MAPS, configMap('verbs', { b: '2' }), {
    signal,
    fieldManager: 'test',
  });
  expect(again.metadata.resourceVersion).toBe(applied.metadata.resourceVersion);
  expect(
    await code(
      client.apply(CONFIG_MAPS, configMap('verbs', { b: '3' }), {
        signal,
        fieldManager: 'other',
        force: false,
      }),
    ),
  ).toBe('Conflict');

  const key = { namespace: 'default', name: 'verbs' };
  const patched = await client.patch(CONFIG_MAPS, key, { data: { a: null } }, { signal });
  expect(patched.data).toEqual({ b: '2' });
  const stale = { ...made, data: { a: 'stale' } };
  await expect(client.replace(CONFIG_MAPS, stale, { signal })).rejects.toSatisfy(isConflict);

  for (let n = 0; n < 7; n++)
    await client.create(CONFIG_MAPS, configMap(`page-${n}`, {}, { page: 'yes' }), { signal });
  const pages: number[] = [];
  for await (const page of client.pages(CONFIG_MAPS, {
    namespace: 'default',
    labelSelector: 'page=yes',
    pageSize: 3,
    signal,
  })) {
    pages.push(page.items.length);
    for (const item of page.items) expect(item).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
  }
  expect(pages).toEqual([3, 3, 1]);

  const partial = await client.findMetadata(CONFIG_MAPS, key, { signal });
  expect(partial).toMatchObject({ kind: 'ConfigMap', metadata: { uid: made.metadata.uid } });
  expect(partial).not.toHaveProperty('data');

  expect(await code(client.delete(CONFIG_MAPS, key, { signal, preconditions: { uid: 'another' } }))).toBe(
    'Conflict',
  );
  expect(await client.delete(CONFIG_MAPS, key, { signal, preconditions: { uid: made.metadata.uid } })).toBe(
    true,
  );
  expect(await client.delete(CONFIG_MAPS, key, { signal })).toBe(false);
});

test('refusals carry the fields they are about', async () => {
  const bad = configMap('bad', { 'no/slash': 'x' });
  const error = await client.create(CONFIG_MAPS, bad, { signal }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'Invalid', status: 422 });
  expect((error as ApiError).causes.join()).toContain('data[no/slash]');
  expect((error as ApiError).message).toContain('create configmaps default/bad');
});

test('a deadline ends a call that is not answered', async () => {
  const { proxied, proxy } = await throughProxy();
  await proxied.serverVersion({ signal });
  proxy.freeze(true);
  const started = performance.now();
  expect(await code(proxied.serverVersion({ signal, timeoutMs: 300 }))).toBe('Timeout');
  expect(performance.now() - started).toBeLessThan(2_000);
  proxy.freeze(false);
  proxy.refuse(true);
  expect(await code(proxied.serverVersion({ signal }))).toBe('Unreachable');
});

test('many requests share a few connections', async () => {
  const { proxied, proxy } = await throughProxy();
  for (let n = 0; n < 50; n++) await proxied.serverVersion({ signal });
  expect(proxy.accepted).toBeLessThanOrEqual(2);
});

test('an informer sees every last state through cut connections and a restart of the API server', async () => {
  const { proxied, proxy } = await throughProxy();
  const reasons: string[] = [];
  const metrics: WatchMetrics = {
    ...NO_METRICS.watch,
    restarted: (_, reason) => void reasons.push(reason),
    listed: (_, reason) => void reasons.push(`list:${reason}`),
  };
  const informer = new Informer(proxied, CONFIG_MAPS, {
    namespace: 'default',
    labelSelector: 'test=soak',
    metrics,
    random: () => 0.5,
    indexes: { value: (object) => Object.values(object.data ?? {}) },
  });
  const changes: Change<ConfigMap>[] = [];
  informer.onChange((change) => changes.push(change));
  running(informer);
  await informer.waitForSync(signal);

  const names = Array.from({ length: 10 }, (_, n) => `soak-${n}`);
  for (const name of names)
    await client.create(CONFIG_MAPS, configMap(name, { v: '0' }, { test: 'soak' }), { signal });
  for (let round = 1; round <= 12; round++) {
    for (const name of names) {
      await client.patch(
        CONFIG_MAPS,
        { namespace: 'default', name },
        { data: { v: String(round) } },
        { signal },
      );
    }
    proxy.cut();
  }
  const settled = (value: string, count: number) => () =>
    informer.byIndex('value', value).length === count && informer.list().length === count;
  await waitFor('the last values', settled('12', 10), { signal, timeout: 30_000 });

  // Away for as long as it takes to forget: a restarted API server knows no version from before.
  proxy.refuse(true);
  for (const name of names.slice(0, 5))
    await client.delete(CONFIG_MAPS, { namespace: 'default', name }, { signal });
  for (const name of names.slice(5)) {
    await client.patch(CONFIG_MAPS, { namespace: 'default', name }, { data: { v: 'end' } }, { signal });
  }
  await plane.restartApiServer(signal);
  proxy.refuse(false);
  await waitFor('the state after the restart', settled('end', 5), { signal, timeout: 60_000 });

  expect(reasons.filter((reason) => reason === 'list:start')).toHaveLength(1);
  expect(reasons).toContain('error');
  expect(
    changes
      .filter((change) => change.type === 'deleted')
      .map((change) => change.object.metadata.name)
      .sort(),
  ).toEqual(names.slice(0, 5));
  for (const change of changes) expect(change.object.metadata.managedFields).toBeUndefined();
  for (const name of names) await client.delete(CONFIG_MAPS, { namespace: 'default', name }, { signal });
});

test('a watch from a forgotten version ends in Gone', async () => {
  const read = async (): Promise<unknown> => {
    const events = client.watch(CONFIG_MAPS, { signal, resourceVersion: '1', timeoutSeconds: 5 });
    for await (const event of events) return event;
    return undefined;
  };
  const seen = await read().catch((error: unknown) => error);
  if (seen instanceof ApiError) expect(seen.code).toBe('Gone');
  else expect(seen).toMatchObject({ type: 'ERROR', object: { code: 410 } });
});

test('an informer of metadata alone never holds content, and knows owners', async () => {
  const owner = await client.create(CONFIG_MAPS, configMap('owner'), { signal });
  const owned = configMap('owned', { secret: 'content' });
  await client.create(
    CONFIG_MAPS,
    {
      ...owned,
      metadata: {
        ...owned.metadata,
        ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }],
      },
    },
    { signal },
  );
  const informer = new Informer(client, CONFIG_MAPS, { metadataOnly: true });
  running(informer);
  await informer.waitForSync(signal);
  await waitFor('the owned object', () => informer.byOwner(owner.metadata.uid).length === 1, {
    signal,
    timeout: 10_000,
  });
  expect(JSON.stringify(informer.list())).not.toContain('content');
  expect(informer.get({ namespace: 'default', name: 'owned' })?.kind).toBe('ConfigMap');

  const before = informer.get({ namespace: 'default', name: 'owned' })?.metadata.resourceVersion;
  await client.patch(
    CONFIG_MAPS,
    { namespace: 'default', name: 'owned' },
    { data: { more: 'x' } },
    { signal },
  );
  await waitFor(
    'the new version',
    () => informer.get({ namespace: 'default', name: 'owned' })?.metadata.resourceVersion !== before,
    { signal, timeout: 10_000 },
  );
  for (const name of ['owner', 'owned'])
    await client.delete(CONFIG_MAPS, { namespace: 'default', name }, { signal });
});

const lead = (term: AbortSignal): Promise<void> =>
  new Promise((resolve) => term.addEventListener('abort', () => resolve(), { once: true }));

test('leadership is handed over at once when it is released, and within 20 s when the leader vanishes', async () => {
  const { proxied, proxy } = await throughProxy();
  const lease = { namespace: 'default', name: 'handover' };
  const first = new LeaderElector(proxied, { lease, identity: 'first', logger: SILENT_LOGGER });
  const second = new LeaderElector(client, { lease, identity: 'second', logger: SILENT_LOGGER });
  const third = new LeaderElector(client, { lease, identity: 'third', logger: SILENT_LOGGER });
  const stops = { first: new AbortController(), second: new AbortController(), third: new AbortController() };

  const firstRun = first.run(stops.first.signal, lead);
  await waitFor('the first leader', () => first.isLeader, { signal, timeout: 5_000 });
  const secondRun = second.run(stops.second.signal, lead);

  // To everyone else a leader that can no longer speak is one that was killed.
  const vanished = performance.now();
  proxy.refuse(true);
  expect(await firstRun).toBe('lost');
  const steppedDown = performance.now() - vanished;
  expect(second.isLeader).toBe(false);
  await waitFor('the second leader', () => second.isLeader, { signal, timeout: 20_000 });
  const tookOver = performance.now() - vanished;
  expect(steppedDown).toBeLessThan(13_000);
  expect(tookOver).toBeLessThan(20_000);
  expect(tookOver).toBeGreaterThan(steppedDown);

  const thirdRun = third.run(stops.third.signal, lead);
  await waitFor('the third to wait', () => third.leader === 'second', { signal, timeout: 5_000 });
  const released = performance.now();
  stops.second.abort();
  expect(await secondRun).toBe('released');
  await waitFor('the third leader', () => third.isLeader, { signal, timeout: 5_000 });
  expect(performance.now() - released).toBeLessThan(4_000);
  stops.third.abort();
  expect(await thirdRun).toBe('released');
  const left = await client.get(LEASES, lease, { signal });
  expect(left.spec).toMatchObject({ holderIdentity: '', leaseTransitions: 2 });
});

test('a leader whose lease was taken from it steps down', async () => {
  const lease = { namespace: 'default', name: 'taken' };
  const elector = new LeaderElector(client, {
    lease,
    identity: 'mine',
    logger: SILENT_LOGGER,
    retryPeriodMs: 200,
  });
  const run = elector.run(signal, lead);
  await waitFor('the leader', () => elector.isLeader, { signal, timeout: 5_000 });
  await client.patch(LEASES, lease, { spec: { holderIdentity: 'thief' } }, { signal });
  expect(await run).toBe('lost');
});

test('replicas that start at once share one serving certificate, and one that is given is only read', async () => {
  const secret = { namespace: 'default', name: 'serving' };
  const made = (names: readonly string[], given = false) =>
    new ServingCertificate(client, { secret, names, given, logger: SILENT_LOGGER });
  await expect(made(['a.svc'], true).ensure(signal)).rejects.toThrow(/serving/);
  expect(await client.find(SECRETS, secret, { signal })).toBeUndefined();
  const all = await Promise.all([1, 2, 3].map(() => made(['a.svc']).ensure(signal)));
  expect(new Set(all.map(({ cert }) => cert)).size).toBe(1);
  expect(await made(['a.svc'], true).ensure(signal)).toEqual(all[0]);
  const renamed = await made(['b.svc']).ensure(signal);
  expect(renamed.cert).not.toBe(all[0]?.cert);
  expect(renamed.caBundle).toBe(all[0]?.caBundle);
});

test('events are recorded once and counted when they repeat', async () => {
  const regarding = await client.create(CONFIG_MAPS, configMap('eventful'), { signal });
  const recorder = new ApiEventRecorder(client, { controller: 'linuxkit.dev/test', instance: 'test-0' });
  running(recorder);
  for (let n = 0; n < 8; n++) {
    recorder.record(regarding, { type: 'Normal', reason: 'Tested', action: 'Test', note: 'x'.repeat(2000) });
  }
  recorder.record(regarding, {
    type: 'Warning',
    reason: 'Tested',
    action: 'Test',
    note: 'other',
    related: regarding,
  });
  type Event = ConfigMap & { reason?: string; note?: string; series?: { count: number } };
  const events = resource<Event>({ group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event' });
  const read = async (): Promise<readonly Event[]> =>
    (await client.list(events, { namespace: 'default', signal })).items.filter(
      (event) => event.reason === 'Tested',
    );
  await waitFor(
    'both events',
    async () => (await read()).some((event) => event.series?.count === 8) && (await read()).length === 2,
    {
      signal,
      timeout: 10_000,
    },
  );
});
