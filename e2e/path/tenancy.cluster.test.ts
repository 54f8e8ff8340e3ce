import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Agent, fetch, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPERATOR_NAMESPACE, RELEASE } from '../stack/chart.ts';
import { createNamespace, eventually, kubectl, linuxkitConfig, linuxkitImage, within } from './fixtures.ts';

const OURS = 'tenant-a';
const OTHERS = 'tenant-b';
/** Takes connections and never answers; allowed by name when the chart was installed. */
const SILENT_REGISTRY = 'host.test:5997';
const AUDIENCE = 'artifacts.linuxkit.dev';

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface RunningBuild {
  readonly pod: string;
  readonly uid: string;
  readonly url: string;
  readonly authority: string;
}

/** Starts a build that waits: its registry never answers, so its pod stays while the test looks at it. */
async function waitingBuild(namespace: string): Promise<RunningBuild> {
  const config = linuxkitConfig(
    'x',
    (each) => void (each.kernel.image = `${SILENT_REGISTRY}/linuxkit/kernel:6.1`),
  );
  await kubectl.apply([linuxkitImage(namespace, 'waiting', { config, build: { retries: 0 } })], within(30));
  const pod = await eventually('a build pod that runs', 60, async () => {
    const { items } = await kubectl.json<{
      items: { metadata: { name: string; uid: string }; status: { phase: string } }[];
    }>([`--namespace=${namespace}`, 'get', 'pods', '-l', 'linuxkit.dev/image=waiting'], within(20));
    return items.find((each) => each.status.phase === 'Running');
  });
  const maps = await kubectl.json<{ items: { data?: Record<string, string> }[] }>(
    [`--namespace=${namespace}`, 'get', 'configmaps', '-l', 'linuxkit.dev/image=waiting'],
    within(20),
  );
  const request = JSON.parse(maps.items[0]?.data?.['request.json'] ?? 'null') as {
    endpoint: { url: string; caBundle: string };
  };
  return {
    pod: pod.metadata.name,
    uid: pod.metadata.uid,
    url: request.endpoint.url,
    authority: request.endpoint.caBundle,
  };
}

async function token(
  namespace: string,
  pod: string,
  audience = AUDIENCE,
  account = 'default',
): Promise<string> {
  const text = await kubectl.run(
    [
      `--namespace=${namespace}`,
      'create',
      'token',
      account,
      `--audience=${audience}`,
      '--bound-object-kind=Pod',
      `--bound-object-name=${pod}`,
    ],
    within(20),
  );
  return text.trim();
}

/** Calls the endpoint as a build pod would, from this machine: the Service's address is routed to the node. */
async function call(build: RunningBuild, bearer: string, path: string, body: unknown): Promise<Answer> {
  const url = new URL(build.url);
  const service = url.hostname.split('.')[0] ?? '';
  const { spec } = await kubectl.json<{ spec: { clusterIP: string } }>(
    [`--namespace=${OPERATOR_NAMESPACE}`, 'get', 'service', service],
    within(20),
  );
  const dispatcher = new Agent({
    allowH2: false,
    connect: { ca: build.authority, servername: url.hostname },
  });
  try {
    const answer = await fetch(`https://${spec.clusterIP}:${url.port || 443}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      dispatcher,
      signal: within(20),
    });
    const text = await answer.text();
    return { status: answer.status, body: text.startsWith('{') ? (JSON.parse(text) as unknown) : text };
  } finally {
    await dispatcher.close();
  }
}

const bytes = randomBytes(4096);
const sha256 = createHash('sha256').update(bytes).digest('hex');
const keyOf = (image: string) => `${image}/sha256-${'a'.repeat(64)}/kernel`;
const announce = (key: string) => ({ objects: [{ key, size: bytes.length, sha256 }] });

describe('tenants that do not trust each other', () => {
  let build: RunningBuild;
  let others: RunningBuild;
  let bearer: string;

  const silent = createServer((socket) => void socket.on('error', () => socket.destroy()));

  afterAll(() => void silent.close());

  beforeAll(async () => {
    await once(silent.listen(5997, '0.0.0.0'), 'listening');
    await createNamespace(OURS);
    await createNamespace(OTHERS);
    [build, others] = await Promise.all([waitingBuild(OURS), waitingBuild(OTHERS)]);
    bearer = await token(OURS, build.pod);
  });

  it('gives a build pod an upload URL below its own image, good for the announced bytes alone', async () => {
    const { status, body } = await call(build, bearer, '/v1/objects/announce', announce(keyOf('waiting')));
    expect(status).toBe(200);
    const upload = (body as { objects: { url: string; headers: Record<string, string> }[] }).objects[0];
    if (upload === undefined) throw new Error('no upload was offered');
    expect(new URL(upload.url).pathname).toContain(`/${OURS}/waiting/`);

    const service = await kubectl.json<{ spec: { clusterIP: string } }>(
      [`--namespace=${OPERATOR_NAMESPACE}`, 'get', 'service', `${RELEASE}-storage`],
      within(20),
    );
    // The length is signed too; what is sent says its own.
    const { 'content-length': _length, ...signed } = Object.fromEntries(
      Object.entries(upload.headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
    const put = async (content: Buffer): Promise<number> => {
      const target = new URL(upload.url);
      // The signature covers the host that the build pod sees; fetch() would send the address instead.
      const headers = { ...signed, host: target.host };
      target.hostname = service.spec.clusterIP;
      const answer = await request(target, { method: 'PUT', headers, body: content, signal: within(20) });
      await answer.body.dump();
      return answer.statusCode;
    };
    const flipped = Buffer.from(bytes);
    flipped[0] = (flipped[0] ?? 0) ^ 1;
    // Other bytes of the same length fail by the checksum, not by the signature; another length by the signature.
    expect(await put(flipped)).toBe(400);
    expect(await put(Buffer.concat([bytes, bytes]))).toBe(403);
    expect(await put(bytes)).toBe(200);
    expect(await put(bytes)).toBe(412);
  });

  it.each([
    ['another image', keyOf('other')],
    ['another namespace', `../${OTHERS}/${keyOf('waiting')}`],
    ['an absolute key', `/${OTHERS}/${keyOf('waiting')}`],
    ['a file that is no part of an artifact', `waiting/sha256-${'a'.repeat(64)}/passwd`],
  ])('refuses a key of %s', async (_what, key) => {
    const { status, body } = await call(build, bearer, '/v1/objects/announce', announce(key));
    expect([400, 403]).toContain(status);
    expect(JSON.stringify(body)).not.toContain('X-Amz-Signature');
  });

  it('keeps tenants apart by the token, not by what is asked', async () => {
    const { status, body } = await call(
      others,
      await token(OTHERS, others.pod),
      '/v1/objects/announce',
      announce(keyOf('waiting')),
    );
    expect(status).toBe(200);
    expect(JSON.stringify(body)).toContain(`/${OTHERS}/waiting/`);
    expect(JSON.stringify(body)).not.toContain(`/${OURS}/`);
  });

  it('gives nothing to the token of any other pod, audience or account', async () => {
    const name = 'bystander';
    const container = {
      name,
      image: '127.0.0.1:5000/linuxkit/busybox:1.35',
      command: ['/bin/busybox', 'sleep', '600'],
    };
    await kubectl.apply(
      [
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { namespace: OURS, name, labels: { 'linuxkit.dev/image': 'waiting' } },
          spec: { containers: [container] },
        },
      ],
      within(20),
    );
    const attempts = [
      await token(OURS, name),
      await token(OURS, build.pod, 'https://kubernetes.default.svc.cluster.local'),
      'garbage',
      '',
    ];
    for (const attempt of attempts) {
      const { status, body } = await call(build, attempt, '/v1/objects/announce', announce(keyOf('waiting')));
      expect([401, 403]).toContain(status);
      expect(JSON.stringify(body)).not.toContain('X-Amz-Signature');
    }
  });

  it('runs builds without rights to the API, in a pod that the restricted level admits', async () => {
    const { spec } = await kubectl.json<{ spec: { automountServiceAccountToken?: boolean } }>(
      [`--namespace=${OURS}`, 'get', 'pod', build.pod],
      within(20),
    );
    expect(spec.automountServiceAccountToken).toBe(false);
    const warning = await kubectl.run(
      [
        'label',
        '--dry-run=server',
        '--overwrite',
        'namespace',
        OURS,
        'pod-security.kubernetes.io/enforce=restricted',
      ],
      within(20),
    );
    expect(warning).not.toContain(build.pod);
  });

  it.each(['get', 'list', 'watch', 'update', 'patch', 'delete', 'create'])(
    'gives the operator no right to %s Secrets outside its namespace',
    async (verb) => {
      const account = `--as=system:serviceaccount:${OPERATOR_NAMESPACE}:${RELEASE}`;
      const answer = await kubectl
        .run([`--namespace=${OURS}`, 'auth', 'can-i', verb, 'secrets', account], within(20))
        .catch((error: { log: string }) => error.log);
      expect(answer.trim()).toMatch(/^no/);
    },
  );
});
