import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  condition,
  createNamespace,
  eventsOf,
  eventually,
  image,
  keysBelow,
  kubectl,
  linuxkitConfig,
  linuxkitImage,
  REGISTRY,
  testCluster,
  within,
} from './fixtures.ts';

const NAMESPACE = 'failures';
/** Allowed by name when the chart was installed; the port of a registry that this file runs. */
const LYING_REGISTRY = 'host.test:5999';

/** Serves the test registry's images, but one flipped byte in every large blob. */
function lyingRegistry(upstream: string): Server {
  return createServer((request, response) => {
    const forward = async (): Promise<void> => {
      const headers = new Headers();
      for (const name of ['accept', 'range'])
        if (request.headers[name] !== undefined) headers.set(name, String(request.headers[name]));
      const answer = await fetch(`http://${upstream}${request.url}`, {
        method: request.method ?? 'GET',
        headers,
        signal: within(60),
      });
      const body = Buffer.from(await answer.arrayBuffer());
      if (request.url?.includes('/blobs/') === true && body.length > 100_000)
        body[50_000] = (body[50_000] ?? 0) ^ 1;
      response.writeHead(
        answer.status,
        Object.fromEntries(
          [...answer.headers].filter(
            ([name]) => !['transfer-encoding', 'connection', 'content-encoding'].includes(name),
          ),
        ),
      );
      response.end(body);
    };
    forward().catch((error: unknown) => response.destroy(error as Error));
  });
}

/** Applies an image that cannot be built and waits for its failure. */
async function failureOf(name: string, spec: Readonly<Record<string, unknown>>) {
  await kubectl.apply([linuxkitImage(NAMESPACE, name, { build: { retries: 0 }, ...spec })], within(30));
  return await eventually(`the failure of ${name}`, 180, async () => {
    const object = await image(NAMESPACE, name);
    return condition(object, 'Ready')?.status === 'False' && object.status?.lastFailure !== undefined
      ? object
      : undefined;
  });
}

describe('what cannot be built says why', () => {
  let server: Server;

  beforeAll(async () => {
    await createNamespace(NAMESPACE);
    const { registry } = await testCluster();
    server = lyingRegistry(registry.host).listen(5999, '0.0.0.0');
    await once(server, 'listening');
  });

  afterAll(async () => {
    server.close();
    server.closeAllConnections();
  });

  const broken: readonly [
    name: string,
    spec: () => Record<string, unknown>,
    reason: string,
    message: RegExp,
  ][] = [
    [
      'missing-image',
      () => ({
        config: linuxkitConfig('x', (config) => void config.init.push(`${REGISTRY}/linuxkit/nothing:1`)),
      }),
      'ImageNotFound',
      /registry\.test:5000\/linuxkit\/nothing:1/,
    ],
    [
      'dead-registry',
      () => ({
        config: linuxkitConfig('x', (config) => void config.init.push('host.test:5998/linuxkit/init:1')),
      }),
      'RegistryUnreachable',
      /host\.test:5998/,
    ],
    [
      'wrong-layer',
      () => ({
        config: linuxkitConfig(
          'x',
          (config) => void config.init.push(`${LYING_REGISTRY}/linuxkit/busybox:1.35`),
        ),
      }),
      'DigestMismatch',
      /sha256:[0-9a-f]{64}/,
    ],
  ];

  it.each(broken)('%s', async (name, spec, reason, message) => {
    const object = await failureOf(name, spec());
    expect(object.status?.lastFailure).toMatchObject({ reason, message: expect.stringMatching(message) });
    expect(condition(object, 'Ready')).toMatchObject({
      reason,
      message: expect.stringMatching(message),
    });
    await eventually('an event that says the same', 20, async () => {
      const events = await eventsOf(NAMESPACE, 'LinuxKitImage', name);
      return events.some(
        (event) => event.type === 'Warning' && event.reason === reason && message.test(event.message ?? ''),
      );
    });
    expect(await keysBelow(`${NAMESPACE}/${name}/`)).toEqual([]);
  });

  it('names line and column of invalid YAML in a ConfigMap', async () => {
    const text =
      'kernel:\n  image: registry.test:5000/linuxkit/kernel:6.1\nservices:\n  - name: web\n    image: registry.test:5000/linuxkit/httpd:1\n    capabilities: [CAP_FLY]\n    binds: ["nowhere:/data"]\n';
    await kubectl.apply(
      [
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { namespace: NAMESPACE, name: 'broken' },
          data: { 'image.yml': text },
        },
      ],
      within(20),
    );
    const { status } = await failureOf('bad-yaml', {
      configFrom: { configMapKeyRef: { name: 'broken', key: 'image.yml' } },
    });
    expect(status?.lastFailure?.reason).toBe('InvalidLinuxKitConfig');
    expect(status?.lastFailure?.message).toMatch(
      /image\.yml:6:\d+: services\[0\]\.capabilities\[0\]: .*CAP_FLY/,
    );
    expect(status?.lastFailure?.message).toMatch(/image\.yml:7:\d+: services\[0\]\.binds\[0\]: .*nowhere/);
    expect(await keysBelow(`${NAMESPACE}/bad-yaml/`)).toEqual([]);
  });

  it.each([
    ['an unknown volume', { binds: ['nowhere:/data'] }, /services\[0\]\.binds\[0\].*nowhere/],
    ['an unknown capability', { capabilities: ['CAP_FLY'] }, /services\[0\]\.capabilities\[0\].*CAP_FLY/],
  ])('refuses %s, at apply or in the build, by its path', async (what, change, message) => {
    const name = what.replaceAll(' ', '-');
    const config = linuxkitConfig(
      'x',
      (each) => void (each.services = [{ name: 'web', image: `${REGISTRY}/linuxkit/httpd:1`, ...change }]),
    );
    const refusal = await kubectl
      .apply([linuxkitImage(NAMESPACE, name, { config, build: { retries: 0 } })], within(30))
      .then(
        () => undefined,
        (error: { log?: string }) => error.log ?? '',
      );
    const said = refusal ?? (await failureOf(name, { config })).status?.lastFailure?.message;
    expect(said).toMatch(message);
  });
});
