import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ControlPlane } from '../../e2e/cluster/control-plane.ts';
import { installCrds } from '../../e2e/cluster/crds.ts';
import { findFreePort } from '../../e2e/cluster/ports.ts';
import { waitFor } from '../../e2e/process/wait.ts';
import { silentReporter } from '../../e2e/progress/reporter.ts';
import { type S3Service, startS3 } from '../../e2e/services/s3.ts';
import { IMAGES, type ImageObject } from '../controllers/image/objects.ts';
import { ClusterAccess } from '../runtime/access.ts';
import { ApiClient } from '../runtime/api-client.ts';
import { CONFIG_MAPS, JOBS, LEASES, NAMESPACES, SECRETS } from '../runtime/resources.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
const NAMESPACE = 'linuxkit-system';
const signal = AbortSignal.timeout(900_000);
let plane: ControlPlane;
let client: ApiClient;
let s3: S3Service;
const managers: Manager[] = [];

interface Manager {
  readonly name: string;
  readonly child: ChildProcess;
  readonly health: string;
  readonly artifacts: number;
  readonly log: string[];
}

async function startManager(name: string): Promise<Manager> {
  const [health, artifacts] = [await findFreePort(), await findFreePort()];
  const args = [
    `--kubeconfig=${plane.kubeconfig}`,
    `--namespace=${NAMESPACE}`,
    `--identity=${name}`,
    '--health-listen=127.0.0.1',
    `--health-port=${health}`,
    '--artifacts-listen=127.0.0.1',
    `--artifacts-port=${artifacts}`,
    '--artifacts-host=artifacts.linuxkit-system.svc',
    '--storage-credentials-secret=storage',
    '--builder-image=operator:test',
    '--builder-resources={"limits":{"memory":"1Gi"}}',
    '--insecure-registry=registry.test:5000',
    '--insecure-registry=other.test',
  ];
  const child = spawn(process.execPath, [MAIN, 'manager', ...args], {
    env: {
      PATH: process.env['PATH'],
      LINUXKIT_S3_ENDPOINT: s3.endpoint,
      LINUXKIT_S3_REGION: s3.region,
      LINUXKIT_S3_BUCKET: 'made-by-the-manager',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const log: string[] = [];
  createInterface(child.stderr).on('line', (line) => log.push(line));
  const manager = { name, child, health: `http://127.0.0.1:${health}`, artifacts, log };
  managers.push(manager);
  return manager;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

beforeAll(async () => {
  [plane, s3] = await Promise.all([
    ControlPlane.start(silentReporter, signal, { controllers: true }),
    startS3(),
  ]);
  client = new ApiClient(ClusterAccess.load({ file: plane.kubeconfig }));
  await installCrds(client, signal);
  for (const name of [NAMESPACE, 'tenant']) {
    await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, { signal });
  }
  const data = { AWS_ACCESS_KEY_ID: base64(s3.accessKey), AWS_SECRET_ACCESS_KEY: base64(s3.secretKey) };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'storage', namespace: NAMESPACE },
    data,
  };
  await client.create(SECRETS, secret, { signal });
});

afterAll(async () => {
  for (const { child } of managers) if (child.exitCode === null) child.kill('SIGKILL');
  await client.access[Symbol.asyncDispose]();
  await Promise.all([plane.stop(), s3.stop()]);
});

const text = async (url: string): Promise<string> => await (await fetch(url)).text();

const readiness = async (manager: Manager): Promise<boolean> => {
  if (manager.child.exitCode !== null)
    throw new Error(`${manager.name} ended:\n${manager.log.slice(-20).join('\n')}`);
  return (await fetch(`${manager.health}/readyz`)).status === 200;
};

const leads = async (manager: Manager): Promise<boolean> =>
  (await text(`${manager.health}/metrics`)).includes(
    'leader_election_master_status{name="linuxkit-operator"} 1',
  );

const createImage = (name: string): Promise<unknown> => {
  const config = { kernel: { image: 'example/kernel:1', cmdline: 'quiet' }, init: ['example/init:1'] };
  const image = {
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitImage',
    metadata: { name, namespace: 'tenant' },
    spec: { config },
  };
  return client.create(IMAGES, image as unknown as ImageObject, { signal });
};

const jobOf = async (image: string) =>
  (await client.list(JOBS, { namespace: 'tenant', labelSelector: `linuxkit.dev/image=${image}`, signal }))
    .items[0];

test('two replicas become ready, one leads, and it acts without KubeVirt', async () => {
  const both = [await startManager('one'), await startManager('two')];
  for (const manager of both) {
    await waitFor(`readiness of ${manager.name}`, () => readiness(manager), { signal, timeout: 60_000 });
    expect((await fetch(`${manager.health}/healthz`)).status).toBe(200);
  }
  await waitFor('one leader', async () => (await Promise.all(both.map(leads))).filter(Boolean).length === 1, {
    signal,
    timeout: 20_000,
  });
  await createImage('first');
  const job = await waitFor('the Job', () => jobOf('first'), { signal, timeout: 10_000 });

  const request_ = await client.get(
    CONFIG_MAPS,
    { namespace: 'tenant', name: job.metadata.name },
    { signal },
  );
  const { endpoint, insecureRegistries } = JSON.parse(request_.data?.['request.json'] ?? '') as {
    endpoint: { url: string; caBundle: string };
    insecureRegistries: readonly string[];
  };
  expect(endpoint.url).toBe('https://artifacts.linuxkit-system.svc');
  expect(insecureRegistries).toEqual(['registry.test:5000', 'other.test']);
  // Both replicas serve, with certificates of the authority that the build is told to trust; nobody gets in without a token.
  for (const { artifacts } of both) {
    const status = await new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: artifacts,
        servername: 'artifacts.linuxkit-system.svc',
        ca: endpoint.caBundle,
        method: 'POST',
        path: '/v1/announce',
      };
      request(options, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end('{}');
    });
    expect([401, 404]).toContain(status);
  }
});

test('a manager tells of itself in the names that dashboards know', async () => {
  const leader = await waitFor(
    'the leader',
    async () => {
      for (const manager of managers) if (await leads(manager)) return manager;
      return undefined;
    },
    { signal, timeout: 20_000 },
  );
  const page = await text(`${leader.health}/metrics`);
  for (const name of [
    'controller_runtime_reconcile_total{controller="image",result="success"}',
    'controller_runtime_max_concurrent_reconciles{controller="image"} 4',
    'workqueue_depth{name="image",controller="image"}',
    'workqueue_queue_duration_seconds_bucket',
    'rest_client_requests_total{code="200",method="GET"',
    'linuxkit_images{state="building"} 1',
    'linuxkit_watch_cached_objects{resource="linuxkitimages.linuxkit.dev"} 1',
    'linuxkit_operator_build_info',
    'nodejs_eventloop_lag_seconds',
  ]) {
    expect(page).toContain(name);
  }
  for (const line of leader.log)
    expect(JSON.parse(line)).toMatchObject({
      time: expect.any(String),
      level: expect.any(String),
      message: expect.any(String),
    });
  expect(leader.log.join('\n')).not.toContain(s3.secretKey);
});

test('when the leader is killed the other takes over within 20 s', async () => {
  const [leader, other] = (await leads(managers[0] as Manager)) ? managers : managers.toReversed();
  leader?.child.kill('SIGKILL');
  const killed = performance.now();
  await createImage('second');
  await waitFor('the other to act', () => jobOf('second'), { signal, timeout: 20_000 });
  expect(performance.now() - killed).toBeLessThan(20_000);
  expect(await leads(other as Manager)).toBe(true);
  expect((await client.list(JOBS, { namespace: 'tenant', signal })).items).toHaveLength(2);
});

test('asked to end, it gives up the lease and ends well', async () => {
  const last = managers.findLast(({ child }) => child.exitCode === null && child.signalCode === null);
  last?.child.kill('SIGTERM');
  const [code] = (await once(last?.child as ChildProcess, 'exit', {
    signal: AbortSignal.timeout(10_000),
  })) as [number];
  expect(code, last?.log.slice(-10).join('\n')).toBe(0);
  const lease = await client.get(LEASES, { namespace: NAMESPACE, name: 'linuxkit-operator' }, { signal });
  expect(lease.spec?.holderIdentity).toBe('');
});
