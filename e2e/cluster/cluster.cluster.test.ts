import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { AuthenticationV1Api, KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseCgroupMounts } from '../process/cgroups.ts';
import { run } from '../process/run.ts';
import { waitFor } from '../process/wait.ts';
import { createReporter } from '../progress/reporter.ts';
import { ensurePackages } from '../tools/packages.ts';
import { leftovers } from './leftovers.ts';
import { LocalCluster } from './local-cluster.ts';
import { PodRunner, pushBusybox, pushText, restricted } from './test-pod.ts';

const name = 'cluster-test';
const reporter = createReporter();
const signal = AbortSignal.timeout(3_000_000);
let cluster: LocalCluster;
let pods: PodRunner;
let busybox: string;
let before: MachineState;
let stopped = false;

beforeAll(async () => {
  await ensurePackages(['iptables', 'iproute2', 'busybox-static'], reporter, signal);
  await LocalCluster.remove(name);
  before = await machineState();
  cluster = await LocalCluster.start({ name }, reporter, signal);
  pods = new PodRunner(cluster.kubeconfig, signal);
  busybox = await pushBusybox(cluster, signal);
});

afterAll(async () => {
  if (!stopped) await LocalCluster.remove(name);
});

test('the node is Ready and says what it is', async () => {
  const [node] = (await pods.core.listNode()).items;
  expect(node?.metadata?.name).toBe(cluster.nodeName);
  expect(node?.status?.nodeInfo).toMatchObject({
    kubeletVersion: 'v1.36.3',
    containerRuntimeVersion: 'containerd://2.4.2',
  });
});

test('a restricted namespace runs a restricted Job, whose image came from 127.0.0.1, and refuses others', async () => {
  const namespace = 'restricted';
  await pods.core.createNamespace({
    body: { metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
  });
  expect(busybox).toMatch(/^127\.0\.0\.1:\d+\//);
  const output = await pods.run(namespace, 'restricted', {
    restartPolicy: 'Never',
    securityContext: restricted.pod,
    containers: [
      {
        name: 'main',
        image: busybox,
        command: ['sh', '-c', 'id -u; grep -E "^(CapEff|Seccomp|NoNewPrivs):" /proc/self/status'],
        securityContext: restricted.container,
      },
    ],
  });
  expect(output.replaceAll('\t', ' ')).toBe('65532\nCapEff: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\n');
  const refused = pods.core.createNamespacedPod({
    namespace,
    body: { metadata: { name: 'not-restricted' }, spec: { containers: [{ name: 'main', image: busybox }] } },
  });
  await expect(refused).rejects.toMatchObject({
    code: 403,
    body: expect.stringContaining('PodSecurity') as string,
  });
});

test('an image is mounted as a volume', async () => {
  const data = await pushText(cluster, 'data', 'greeting', 'hello from an image', signal);
  const output = await pods.run('default', 'image-volume', {
    restartPolicy: 'Never',
    containers: [
      {
        name: 'main',
        image: busybox,
        command: ['sh', '-c', 'cat /data/greeting; touch /data/x 2>/dev/null || echo " read-only"'],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', image: { reference: data, pullPolicy: 'IfNotPresent' } }],
  });
  expect(output).toBe('hello from an image read-only\n');
});

test('a Service is reached by name from a pod and by address from this machine, and this machine from a pod', async () => {
  const address = await pods.serve(
    'default',
    'web',
    { app: 'web' },
    {
      containers: [
        {
          name: 'main',
          image: busybox,
          command: [
            'sh',
            '-c',
            'mkdir /www && echo served >/www/index.html && exec busybox httpd -f -p 8080 -h /www',
          ],
          readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
        },
      ],
    },
  );
  const service = await pods.core.createNamespacedService({
    namespace: 'default',
    body: {
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
    },
  });
  const here = createServer((_, response) => response.end('this machine\n'));
  await new Promise<void>((resolve) => here.listen(0, '0.0.0.0', resolve));
  try {
    const { port } = here.address() as AddressInfo;
    const output = await pods.run('default', 'client', {
      restartPolicy: 'Never',
      containers: [
        {
          name: 'main',
          image: busybox,
          command: [
            'sh',
            '-ec',
            [
              // The endpoints of a new Service reach the node's rules a moment later.
              'until busybox wget -qO /tmp/web http://web.default.svc.cluster.local; do busybox usleep 100000; done',
              'busybox cat /tmp/web',
              'busybox wget -qO- http://web',
              `busybox wget -qO- http://host.test:${port}`,
              'busybox wget -qO- http://registry.test:5000/v2/',
            ].join('\n'),
          ],
          volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
        },
      ],
      volumes: [{ name: 'tmp', emptyDir: {} }],
      activeDeadlineSeconds: 60,
    });
    expect(output).toBe('served\nserved\nthis machine\n{}');
    expect(await (await fetch(`http://${address}:8080/`)).text()).toBe('served\n');
    expect(await (await fetch(`http://${service.spec?.clusterIP}/`)).text()).toBe('served\n');
  } finally {
    here.close();
  }
});

test('a projected token is known by its pod and good for its audience alone', async () => {
  const output = await pods.run('default', 'token', {
    restartPolicy: 'Never',
    containers: [
      {
        name: 'main',
        image: busybox,
        command: ['busybox', 'cat', '/token/token'],
        volumeMounts: [{ name: 'token', mountPath: '/token' }],
      },
    ],
    volumes: [
      {
        name: 'token',
        projected: { sources: [{ serviceAccountToken: { audience: 'someone', path: 'token' } }] },
      },
    ],
  });
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  const review = async (audience: string) => {
    const body = { spec: { token: output.trim(), audiences: [audience] } };
    return (await config.makeApiClient(AuthenticationV1Api).createTokenReview({ body })).status;
  };
  expect(await review('someone')).toMatchObject({
    authenticated: true,
    audiences: ['someone'],
    user: {
      username: 'system:serviceaccount:default:default',
      extra: { 'authentication.kubernetes.io/pod-name': [expect.stringMatching(/^token-/)] },
    },
  });
  expect((await review('someone else'))?.authenticated).not.toBe(true);
});

test('it is found again by name, not started twice, and survives the crash of its API server', async () => {
  const found = await LocalCluster.attach(name);
  expect(found?.kubeconfig).toBe(cluster.kubeconfig);
  await expect(LocalCluster.start({ name }, reporter, signal)).rejects.toMatchObject({ code: 'NameTaken' });
  await found?.restartApiServer(signal);
  expect((await pods.core.listNode()).items).toHaveLength(1);
});

test('a crashed component surfaces with the end of its log', async () => {
  const again = await LocalCluster.attach(name);
  await again?.components.assertRunning();
  await again?.components.kill('kube-scheduler', signal);
  await expect(again?.components.assertRunning()).rejects.toThrow(
    expect.objectContaining({
      code: 'ComponentExited',
      summary: 'kube-scheduler has exited',
      log: expect.stringMatching(/^[IWE]\d{4} /m) as string,
    }),
  );
  await again?.components.restart('kube-scheduler', signal);
  await again?.components.assertRunning();
});

test('a second one beside it that is aborted, or whose starter is killed, leaves the first alone and nothing behind', async () => {
  const second = `${name}-2`;
  const aborted = LocalCluster.start({ name: second }, reporter, AbortSignal.timeout(3_000));
  await expect(aborted).rejects.toThrow();
  expect(await leftovers(second, signal)).toEqual([]);

  const starter = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `const { LocalCluster } = await import(${JSON.stringify(join(import.meta.dirname, 'local-cluster.ts'))});
       const { silentReporter } = await import(${JSON.stringify(join(import.meta.dirname, '../progress/reporter.ts'))});
       await LocalCluster.start({ name: ${JSON.stringify(second)} }, silentReporter, AbortSignal.timeout(60_000));`,
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => starter.once('close', resolve));
  await waitFor(
    'a half-started node',
    async () => (await leftovers(second, signal)).some((each) => each.includes('kube-apiserver')),
    { signal, timeout: 60_000 },
  );
  starter.kill('SIGKILL');
  await ended;
  expect(await LocalCluster.attach(second)).toBeUndefined();
  await LocalCluster.remove(second);
  expect(await leftovers(second, signal)).toEqual([]);

  await cluster.components.assertRunning();
  expect((await pods.core.listNode()).items).toHaveLength(1);
});

test('stopping leaves nothing behind', async () => {
  expect((await leftovers(name, signal)).length).toBeGreaterThan(10);
  await cluster.stop();
  stopped = true;
  expect(await leftovers(name, signal)).toEqual([]);
  expect(await machineState()).toEqual(before);
  expect(await LocalCluster.attach(name)).toBeUndefined();
});

interface MachineState {
  readonly mounts: readonly string[];
  readonly links: readonly string[];
  readonly routes: readonly string[];
  readonly rules: string;
  readonly cgroups: readonly string[];
  readonly settings: readonly string[];
}

/**
 * What a node could leave behind outside of what `leftovers` looks at. Docker and other local
 * clusters, which may come and go meanwhile, are left out.
 */
async function machineState(): Promise<MachineState> {
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
  const lines = async (command: string, ...args: string[]): Promise<readonly string[]> =>
    (await run(command, args, { signal }))
      .split('\n')
      .filter((line) => line !== '' && !/docker|veth|lko-/.test(line))
      .toSorted();
  const cgroups = parseCgroupMounts(mountinfo).flatMap((mount) =>
    readdirSync(mount)
      .filter((entry) => entry.includes(name) || /kubepods/.test(entry))
      .map((entry) => `${mount}/${entry}`),
  );
  return {
    mounts: mountinfo
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((point) => !/docker/.test(point))
      .toSorted(),
    links: (await lines('ip', '-oneline', 'link', 'show')).map((line) => line.split(':')[1] ?? '').toSorted(),
    routes: await lines('ip', 'route', 'show'),
    rules: (await lines('iptables-save')).filter((line) => !line.startsWith('#')).join('\n'),
    cgroups,
    settings: ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops', 'net/ipv4/ip_forward'].map(
      (path) => `${path}=${readFileSync(`/proc/sys/${path}`, 'utf8').trim()}`,
    ),
  };
}
