import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RegistryClient } from '../../operator/oci/client.ts';
import { parseReference } from '../../operator/oci/reference.ts';
import { ImagePublisher } from '../build/image-publisher.ts';
import { file } from '../images/entry.ts';
import { OciLayout } from '../images/oci-layout.ts';
import { COSIGN_DEADLINE, Signer } from '../signing/signer.ts';
import {
  condition,
  createNamespace,
  eventsOf,
  eventually,
  image,
  imageReady,
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
async function failureOf(name: string, spec: Readonly<Record<string, unknown>>, namespace = NAMESPACE) {
  await kubectl.apply([linuxkitImage(namespace, name, { build: { retries: 0 }, ...spec })], within(30));
  return await eventually(`the failure of ${name}`, 180, async () => {
    const object = await image(namespace, name);
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

describe('images that trust names', () => {
  const TRUST_NAMESPACE = 'trust';
  const REPOSITORY = 'signed/app';
  const REFERENCE = `${REGISTRY}/${REPOSITORY}:1`;
  const ORG = REPOSITORY.split('/')[0];
  let folder: string;
  let signer: Signer;
  /** As this machine names the registry; the signature lies in the same repository. */
  let pinned: string;
  let digest: string;

  beforeAll(async () => {
    await createNamespace(TRUST_NAMESPACE);
    const { registry } = await testCluster();
    folder = await mkdtemp(join(tmpdir(), 'signed-'));
    signer = await Signer.create(AbortSignal.timeout(COSIGN_DEADLINE));
    const images = new ImagePublisher(new OciLayout(folder), registry.host);
    // In a cluster that was kept, the image of an earlier run is signed by then.
    const reference = await images.publish(REPOSITORY, [[file('etc/signed', randomUUID())]]);
    await using client = new RegistryClient({ insecureRegistries: [registry.host] });
    digest = await client.resolveDigest(parseReference(reference), within(30));
    pinned = `${registry.host}/${REPOSITORY}@${digest}`;
  }, COSIGN_DEADLINE);

  afterAll(async () => {
    await signer[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const spec = () => ({
    config: linuxkitConfig('signed', (config) => {
      config.init.push(REFERENCE);
      config['trust'] = { org: [ORG] };
    }),
    verification: { publicKeys: [{ pem: signer.publicKey }] },
  });

  it('are refused at apply without a key', async () => {
    const { verification: _, ...without } = spec();
    await expect(
      kubectl.apply([linuxkitImage(TRUST_NAMESPACE, 'keyless', without)], within(30)),
    ).rejects.toMatchObject({ log: expect.stringMatching(/spec\.verification.*there is no public key/) });
  });

  it('fail the build while they are not signed, and are built when they are', async () => {
    const name = 'unsigned';
    const object = await failureOf(name, spec(), TRUST_NAMESPACE);
    const message = expect.stringMatching(
      `^init\\[3\\]: image ${REFERENCE} \\(${digest}, sha256:[0-9a-f]{64}\\) has no signature`,
    );
    expect(object.status?.lastFailure).toMatchObject({
      step: 'verify',
      reason: 'InputVerificationFailed',
      message,
      exitCode: 65,
    });
    expect(condition(object, 'Ready')).toMatchObject({ reason: 'InputVerificationFailed' });
    await eventually('the build to be given up', 60, async () => {
      const stalled = condition(await image(TRUST_NAMESPACE, name), 'Stalled');
      return stalled?.status === 'True' && stalled.reason === 'InputVerificationFailed';
    });
    expect(await keysBelow(`${TRUST_NAMESPACE}/${name}/`)).toEqual([]);

    await signer.signWithKey(pinned, 'bundle', within(60));
    const now = `linuxkit.dev/rebuild-requested-at=${new Date().toISOString()}`;
    await kubectl.run([`--namespace=${TRUST_NAMESPACE}`, 'annotate', 'linuxkitimage', name, now], within(20));
    const { status } = await imageReady(TRUST_NAMESPACE, name);
    const verified = status?.artifact?.inputs.filter(({ verifiedBy }) => verifiedBy !== undefined);
    expect(verified).toMatchObject([
      { location: 'init[3]', reference: REFERENCE, verifiedBy: expect.stringMatching(/^key [0-9a-f]{16}$/) },
    ]);
    expect(status?.lastFailure).toBeUndefined();
  });

  it('are found with their signatures in a mirror of a registry that is out of reach', async () => {
    await signer.signWithKey(pinned, 'simple', within(60));
    const name = 'mirrored';
    const mirrored = JSON.parse(
      JSON.stringify(spec()).replaceAll(`${REGISTRY}/`, 'mirrored.test/'),
    ) as object;
    await kubectl.apply([linuxkitImage(TRUST_NAMESPACE, name, { ...mirrored })], within(30));
    const { status } = await imageReady(TRUST_NAMESPACE, name, 240);
    expect(status?.artifact?.inputs.find(({ location }) => location === 'init[3]')).toMatchObject({
      reference: `mirrored.test/${REPOSITORY}:1`,
      verifiedBy: expect.stringMatching(/^key [0-9a-f]{16}$/),
    });
  });
});
