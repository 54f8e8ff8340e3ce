import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CertificateAuthority, type CertificateFiles } from '../../../e2e/cluster/certificates.ts';
import { startS3 } from '../../../e2e/services/s3.ts';
import { API_VERSION, ARTIFACT_AUDIENCE, IMAGE_KIND, LABEL_BUILD, LABEL_IMAGE } from '../../api/names.ts';
import { sha256Digest } from '../../oci/types.ts';
import { artifactKey, memberKey, resultKey } from '../layout.ts';
import { type BucketUnderTest, bucketOf } from '../s3/bucket-under-test.ts';
import { S3Presigner } from '../s3/presign.ts';
import { deadline, sha256, sourceOf } from '../store-contract.ts';
import { createArtifactEndpoint } from './endpoint.ts';
import type { BuildPod, ClusterView } from './identity.ts';
import { PresignedStore } from './presigned-store.ts';
import { ANNOUNCE_PATH, MAX_REQUEST_BYTES } from './protocol.ts';
import type { ArtifactServer } from './server.ts';

const pods: Readonly<Record<string, BuildPod>> = {
  'token-of-web': { namespace: 'tenant', image: 'web', podName: 'web-1', podUid: 'u1' },
  'token-of-db': { namespace: 'tenant', image: 'db', podName: 'db-1', podUid: 'u2' },
  'token-of-other': { namespace: 'other', image: 'web', podName: 'web-1', podUid: 'u3' },
};

/** A cluster in which each of these tokens is of a running build pod, with its Job and its image. */
const cluster: ClusterView = {
  createTokenReview: async (token) => {
    const pod = pods[token];
    if (pod === undefined) return { authenticated: false };
    const extra = {
      'authentication.kubernetes.io/pod-name': [pod.podName],
      'authentication.kubernetes.io/pod-uid': [pod.podUid],
    };
    const username = `system:serviceaccount:${pod.namespace}:default`;
    return { authenticated: true, audiences: [ARTIFACT_AUDIENCE], user: { username, extra } };
  },
  findPod: async ({ namespace, name }) => {
    const pod = Object.values(pods).find((one) => one.namespace === namespace && one.podName === name);
    if (pod === undefined) return undefined;
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name: pod.image, uid: 'job', controller: true };
    return { metadata: { name, uid: pod.podUid, labels: labelsOf(pod.image), ownerReferences: [owner] } };
  },
  findJob: async ({ name }) => {
    const owner = { apiVersion: API_VERSION, kind: IMAGE_KIND, name, uid: 'image', controller: true };
    return { metadata: { name, uid: 'job', labels: labelsOf(name), ownerReferences: [owner] } };
  },
  findImage: async ({ name }) => ({ metadata: { name, uid: 'image' } }),
};

function labelsOf(image: string): Readonly<Record<string, string>> {
  return { [LABEL_IMAGE]: image, [LABEL_BUILD]: '0123456789abcdef' };
}

let bucket: BucketUnderTest;
let folder: string;
let server: ArtifactServer;
let authority: CertificateAuthority;
let caBundle: string;
let url: string;
let logged: string[] = [];
const stores: PresignedStore[] = [];

async function pem(files: CertificateFiles): Promise<{ cert: string; key: string }> {
  return { cert: await readFile(files.certificate, 'utf8'), key: await readFile(files.key, 'utf8') };
}

async function certificate(file: string): Promise<{ cert: string; key: string }> {
  const names = ['IP:127.0.0.1'];
  return pem(
    await authority.issue({ file, commonName: 'endpoint', names, usages: ['serverAuth'] }, deadline()),
  );
}

/** The store as the pod with that token sees it. */
async function storeOf(token: string, at = url): Promise<PresignedStore> {
  const tokenFile = join(folder, token);
  await writeFile(tokenFile, `${token}\n`);
  const store = new PresignedStore({ url: at, caBundle, tokenFile, patienceMs: 3000 });
  stores.push(store);
  return store;
}

beforeAll(async () => {
  bucket = bucketOf(await startS3());
  folder = await mkdtemp(join(tmpdir(), 'endpoint-'));
  authority = await CertificateAuthority.create(join(folder, 'ca'), 'endpoint test', deadline());
  caBundle = await readFile(authority.files.certificate, 'utf8');
  const line = (message: string, fields?: object) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  server = createArtifactEndpoint({
    certificate: await certificate('first'),
    store: bucket.store,
    presigner: new S3Presigner(bucket.client, bucket.options.bucket),
    cluster,
    log: { info: line, warn: line, error: line },
  });
  url = `https://127.0.0.1:${await server.listen(0, '127.0.0.1')}`;
});

afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await server.close();
  await bucket[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  logged = [];
});

/** One request as anyone could make it. */
async function ask(
  path: string,
  options: { token?: string; body?: unknown; method?: 'POST' | 'GET' },
): Promise<{ status: number; headers: Record<string, unknown>; json: unknown }> {
  const agent = new Agent({ allowH2: false, connect: { ca: caBundle } });
  try {
    const method = options.method ?? 'POST';
    const answer = await request(new URL(path, url), {
      method,
      dispatcher: agent,
      headers: options.token === undefined ? {} : { authorization: `Bearer ${options.token}` },
      ...(method === 'GET'
        ? {}
        : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
    });
    return { status: answer.statusCode, headers: answer.headers, json: await answer.body.json() };
  } finally {
    await agent.destroy();
  }
}

/** A URL for `bytes` under `key`, got by announcing them. */
async function permissionFor(
  key: string,
  bytes: Buffer,
): Promise<{ url: string; headers: Record<string, string> }> {
  const object = { key, size: bytes.length, sha256: sha256(bytes) };
  const { status, json } = await ask(ANNOUNCE_PATH, { token: 'token-of-web', body: { objects: [object] } });
  expect(status).toBe(200);
  return (json as { objects: [{ url: string; headers: Record<string, string> }] }).objects[0];
}

const digestOf = (name: string) => sha256Digest(sha256(Buffer.from(name)));
const kernelOf = (name: string, image = 'web') => artifactKey(image, digestOf(name), 'kernel');

describe('PresignedStore over a real S3 server', () => {
  const signal = deadline(100_000);

  it('stores, finds and reads what belongs to the image, below its namespace', async () => {
    const store = await storeOf('token-of-web');
    const bytes = Buffer.alloc(3_000_000, 'kernel');
    const key = kernelOf('roundtrip');
    expect(await store.head(key, { signal })).toBeUndefined();
    expect(await store.put(key, sourceOf(bytes), { signal })).toBe('created');
    expect(await store.put(key, sourceOf(bytes), { signal })).toBe('exists');
    expect(await store.head(key, { signal })).toMatchObject({ size: bytes.length, sha256: sha256(bytes) });
    expect(sha256(await buffer((await store.get(key, { signal })).body))).toBe(sha256(bytes));
    const range = { first: 1_000_000, last: 1_000_009 };
    expect(await buffer((await store.get(key, { signal, range })).body)).toEqual(
      bytes.subarray(1_000_000, 1_000_010),
    );
    expect(await bucket.store.head(`tenant/${key}`, { signal })).toMatchObject({ sha256: sha256(bytes) });
  });

  it('stores an empty object', async () => {
    const store = await storeOf('token-of-web');
    expect(
      await store.put(memberKey(sha256(Buffer.from('none'))), sourceOf(Buffer.alloc(0)), { signal }),
    ).toBe('created');
  });

  it('says absent, and ObjectNotFound', async () => {
    const store = await storeOf('token-of-web');
    await expect(store.get(kernelOf('never'), { signal })).rejects.toMatchObject({ code: 'ObjectNotFound' });
  });

  it.each([
    ['other bytes', { sha256: sha256(Buffer.from('announced')) }],
    ['fewer bytes', { size: 1000 }],
    ['more bytes', { size: 3 }],
  ])('stores nothing when the source delivers %s', async (what, announced) => {
    const store = await storeOf('token-of-web');
    const key = kernelOf(what);
    await expect(
      store.put(key, sourceOf(Buffer.from('delivered'), announced), { signal }),
    ).rejects.toMatchObject({
      code: 'ChecksumMismatch',
    });
    expect(await store.head(key, { signal })).toBeUndefined();
  });

  it('passes an error of the source on', async () => {
    const store = await storeOf('token-of-web');
    const failing = {
      ...sourceOf(Buffer.from('x')),
      open: () => {
        throw new Error('the layer is gone');
      },
    };
    await expect(store.put(kernelOf('failing'), failing, { signal })).rejects.toThrow('the layer is gone');
  });

  it('stops when it is aborted', async () => {
    const store = await storeOf('token-of-web');
    const reason = new Error('no longer wanted');
    await expect(store.head(kernelOf('x'), { signal: AbortSignal.abort(reason) })).rejects.toThrow(reason);
  });

  it('reads the token again for each request', async () => {
    const store = await storeOf('token-of-web');
    await store.head(kernelOf('x'), { signal });
    await writeFile(join(folder, 'token-of-web'), 'expired');
    await expect(store.head(kernelOf('x'), { signal })).rejects.toMatchObject({ code: 'StorageDenied' });
    await writeFile(join(folder, 'token-of-web'), 'token-of-web');
    expect(await store.head(kernelOf('x'), { signal })).toBeUndefined();
  });

  it('waits for an endpoint that is away, and gives up in the end', async () => {
    const tokenFile = join(folder, 'token-of-web');
    await using store = new PresignedStore({
      url: 'https://127.0.0.1:1',
      caBundle,
      tokenFile,
      patienceMs: 600,
    });
    await expect(store.head(kernelOf('x'), { signal })).rejects.toMatchObject({
      code: 'StorageUnavailable',
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
  });

  it('does not speak to an endpoint that another authority vouches for', async () => {
    const stranger = await CertificateAuthority.create(join(folder, 'stranger'), 'stranger', deadline());
    const foreign = await readFile(stranger.files.certificate, 'utf8');
    const tokenFile = join(folder, 'token-of-web');
    await using store = new PresignedStore({ url, caBundle: foreign, tokenFile, patienceMs: 0 });
    await expect(store.head(kernelOf('x'), { signal })).rejects.toMatchObject({ code: 'StorageUnavailable' });
  });
});

describe('an artifact', () => {
  const signal = deadline(100_000);
  const files = ['kernel', 'initrd.img', 'cmdline'] as const;
  const put = (
    store: PresignedStore,
    name: string,
    file: (typeof files)[number] | 'build.json',
    text: string,
  ) => store.put(artifactKey('web', digestOf(name), file), sourceOf(Buffer.from(text)), { signal });

  it('takes its record last', async () => {
    const store = await storeOf('token-of-web');
    await put(store, 'order', 'kernel', 'k');
    const early = await put(store, 'order', 'build.json', '{}').catch((error: unknown) => error);
    expect(String(early)).toContain('initrd.img, cmdline of it are not stored as announced (Incomplete)');
    await put(store, 'order', 'initrd.img', 'i');
    await put(store, 'order', 'cmdline', 'c');
    expect(await put(store, 'order', 'build.json', '{}')).toBe('created');
  });

  it('takes no record from a pod whose files were replaced meanwhile', async () => {
    const [slow, quick] = [await storeOf('token-of-web'), await storeOf('token-of-web')];
    for (const file of files) await put(slow, 'overtaken', file, `slow ${file}`);
    expect(await put(quick, 'overtaken', 'kernel', 'quick kernel')).toBe('created');
    await expect(put(slow, 'overtaken', 'build.json', '{}')).rejects.toThrow(
      'kernel of it is not stored as announced',
    );
  });

  it('is begun anew over what an interrupted build left', async () => {
    const key = artifactKey('web', digestOf('left'), 'initrd.img');
    await bucket.store.put(`tenant/${key}`, sourceOf(Buffer.from('left by a build that was killed')), {
      signal,
    });
    const store = await storeOf('token-of-web');
    expect(await put(store, 'left', 'initrd.img', 'whole')).toBe('created');
    expect((await buffer((await bucket.store.get(`tenant/${key}`, { signal })).body)).toString()).toBe(
      'whole',
    );
  });

  it('never changes once it is complete', async () => {
    const store = await storeOf('token-of-web');
    for (const file of files) await put(store, 'sealed', file, `first ${file}`);
    await put(store, 'sealed', 'build.json', '{"first":true}');
    for (const file of files) {
      await expect(put(store, 'sealed', file, 'other')).rejects.toMatchObject({ code: 'ObjectConflict' });
      expect(await put(store, 'sealed', file, `first ${file}`)).toBe('exists');
    }
    await expect(put(store, 'sealed', 'build.json', '{}')).rejects.toMatchObject({ code: 'ObjectConflict' });
    const kept = await bucket.store.get(`tenant/${artifactKey('web', digestOf('sealed'), 'build.json')}`, {
      signal,
    });
    expect((await buffer(kept.body)).toString()).toBe('{"first":true}');
  });

  it('of two builds of one image at once, one is stored whole', async () => {
    const outcomes = await Promise.allSettled(
      [1, 2].map(async (build) => {
        const store = await storeOf('token-of-web');
        for (const file of files) await put(store, 'race', file, `${file} of build ${build}`);
        await put(store, 'race', 'build.json', `{"build":${build}}`);
        return build;
      }),
    );
    const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const read = async (file: (typeof files)[number] | 'build.json') => {
      const { body } = await bucket.store.get(`tenant/${artifactKey('web', digestOf('race'), file)}`, {
        signal,
      });
      return (await buffer(body)).toString();
    };
    expect(won.length).toBeLessThanOrEqual(1);
    for (const build of won) {
      expect(await read('build.json')).toBe(`{"build":${build}}`);
      for (const file of files) expect(await read(file)).toBe(`${file} of build ${build}`);
    }
  });
});

describe('the cache', () => {
  const signal = deadline();

  it('can be mended: the last of two different entries stays', async () => {
    const store = await storeOf('token-of-db');
    for (const key of [memberKey(sha256(Buffer.from('m'))), resultKey(sha256(Buffer.from('r')))]) {
      await store.put(key, sourceOf(Buffer.from('damaged')), { signal });
      expect(await store.put(key, sourceOf(Buffer.from('whole')), { signal })).toBe('created');
      expect((await buffer((await store.get(key, { signal })).body)).toString()).toBe('whole');
    }
  });

  it('is shared by the images of a namespace, and by nobody else', async () => {
    const key = memberKey(sha256(Buffer.from('shared')));
    await (await storeOf('token-of-web')).put(key, sourceOf(Buffer.from('shared')), { signal });
    expect(await (await storeOf('token-of-db')).head(key, { signal })).toBeDefined();
    expect(await (await storeOf('token-of-other')).head(key, { signal })).toBeUndefined();
  });
});

describe.each([
  ['Image', ['token-of-web']],
  ['Cluster', ['token-of-web', 'token-of-db', 'token-of-other']],
] as const)('the cache, where it is shared by %s', (cacheSharing, finders) => {
  it(`is seen by the pods with ${finders.join(', ')}`, async () => {
    const other = createArtifactEndpoint({
      certificate: await certificate(cacheSharing),
      store: bucket.store,
      presigner: new S3Presigner(bucket.client, bucket.options.bucket),
      cluster,
      cacheSharing,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    });
    try {
      const at = `https://127.0.0.1:${await other.listen(0, '127.0.0.1')}`;
      const source = sourceOf(Buffer.from(`shared by ${cacheSharing}`));
      const key = memberKey(source.sha256);
      await (await storeOf('token-of-web', at)).put(key, source, { signal: deadline() });
      for (const token of Object.keys(pods)) {
        const found = await (await storeOf(token, at)).head(key, { signal: deadline() });
        expect(found !== undefined, token).toBe((finders as readonly string[]).includes(token));
      }
    } finally {
      await other.close();
    }
  });
});

describe('what a pod cannot do', () => {
  it('name what is not its own', async () => {
    const store = await storeOf('token-of-web');
    const signal = deadline();
    for (const key of [kernelOf('a', 'db'), `other/${kernelOf('a')}`, `web/${'x'.repeat(64)}`]) {
      await expect(store.head(key, { signal })).rejects.toMatchObject({ code: 'StorageDenied' });
      await expect(store.put(key, sourceOf(Buffer.from('x')), { signal })).rejects.toMatchObject({
        code: 'StorageDenied',
      });
    }
    expect(logged.join()).toContain('belongs to another image than tenant/web');
  });

  it('store other bytes, another size, or under another key, with the URL it was given', async () => {
    const bytes = Buffer.from('as announced');
    const key = kernelOf('bound');
    const permission = await permissionFor(key, bytes);
    const send = async (body: Buffer, changes: Record<string, string> = {}, target = permission.url) => {
      const headers: Record<string, string> = {
        ...permission.headers,
        ...changes,
        'content-length': String(body.length),
      };
      const answer = await request(target, { method: 'PUT', headers, body });
      await answer.body.dump();
      return answer.statusCode;
    };
    const other = Buffer.from('AS ANNOUNCED');
    const otherSum = Buffer.from(sha256(other), 'hex').toString('base64');
    expect(await send(other)).toBe(400);
    expect(await send(other, { 'x-amz-checksum-sha256': otherSum })).toBe(403);
    expect(await send(Buffer.from('as announced, and more'))).toBe(403);
    expect(await send(bytes, { 'if-none-match': 'x' })).toBe(403);
    expect(await send(bytes, {}, permission.url.replace('/tenant/', '/other/'))).toBe(403);
    expect(await bucket.store.head(`tenant/${key}`, { signal: deadline() })).toBeUndefined();
    expect(await send(bytes)).toBe(200);
    expect(await send(bytes)).toBe(412);
    expect((await request(permission.url)).statusCode).toBe(403);
  });

  it.each([undefined, 'unknown', ''])('ask with the token %j', async (token) => {
    const { status, headers, json } = await ask(ANNOUNCE_PATH, {
      ...(token === undefined ? {} : { token }),
      body: {},
    });
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toBe('Bearer');
    expect(json).toMatchObject({ error: { code: 'Unauthenticated' } });
  });

  it.each<[string, unknown, number, string]>([
    ['what is not JSON', '{', 400, 'Invalid'],
    ['nothing', { objects: [] }, 400, 'Invalid'],
    [
      'an unknown field',
      { objects: [{ key: 'a', size: 1, sha256: '0'.repeat(64), acl: 'public' }] },
      400,
      'Invalid',
    ],
    ['a negative size', { objects: [{ key: 'a', size: -1, sha256: '0'.repeat(64) }] }, 400, 'Invalid'],
    [
      'too many objects',
      { objects: Array.from({ length: 101 }, () => ({ key: 'a', size: 1, sha256: '0'.repeat(64) })) },
      400,
      'Invalid',
    ],
    [
      'a key twice',
      { objects: [1, 2].map(() => ({ key: kernelOf('t'), size: 1, sha256: '0'.repeat(64) })) },
      400,
      'Invalid',
    ],
    [
      'an object of 6 GiB',
      {
        objects: [
          {
            key: artifactKey('web', digestOf('t'), 'initrd.img'),
            size: 6 * 1024 ** 3,
            sha256: '0'.repeat(64),
          },
        ],
      },
      413,
      'TooLarge',
    ],
    ['more than the limit', `"${'x'.repeat(MAX_REQUEST_BYTES)}"`, 413, 'TooLarge'],
  ])('announce %s', async (_, body, status, code) => {
    const answer = await ask(ANNOUNCE_PATH, { token: 'token-of-web', body });
    expect(answer).toMatchObject({ status, json: { error: { code } } });
  });

  it('find anything else', async () => {
    expect((await ask('/', { token: 'token-of-web', method: 'GET' })).status).toBe(404);
    expect((await ask('/v1/objects', { token: 'token-of-web', body: {} })).status).toBe(404);
  });

  it('take more than its namespace may', async () => {
    const body = { keys: [kernelOf('x')] };
    const statuses: number[] = [];
    for (let round = 0; round < 30 && !statuses.includes(429); round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => ask('/v1/objects/lookup', { token: 'token-of-other', body })),
      );
      statuses.push(...answers.map(({ status }) => status));
    }
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect(
      (await ask('/v1/objects/lookup', { token: 'token-of-db', body: { keys: [kernelOf('x', 'db')] } }))
        .status,
    ).toBe(200);
  });
});

describe('ArtifactServer', () => {
  it('never logs a token or a URL', async () => {
    await ask(ANNOUNCE_PATH, { token: 'a-secret-token', body: {} });
    await ask(ANNOUNCE_PATH, {
      token: 'token-of-web',
      body: { objects: [{ key: 'x', size: 1, sha256: '0'.repeat(64) }] },
    });
    expect(logged).toHaveLength(2);
    expect(logged.join()).not.toMatch(/a-secret-token|token-of-web|X-Amz/);
  });

  it('shows a new certificate to new connections', async () => {
    const serialOf = async () =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls(
          { port: Number(new URL(url).port), host: '127.0.0.1', ca: caBundle },
          () => {
            resolve(socket.getPeerCertificate().fingerprint256);
            socket.destroy();
          },
        );
        socket.on('error', reject);
      });
    const before = await serialOf();
    server.setCertificate(await certificate('second'));
    expect(await serialOf()).not.toBe(before);
  });

  it('drops no request while its certificate is replaced', async () => {
    const path = new URL('/v1/objects/lookup', url);
    const body = JSON.stringify({ keys: [kernelOf('x', 'db')] });
    const headers = { authorization: 'Bearer token-of-db' };
    const options = { allowH2: false, connections: 1, connect: { ca: caBundle } };
    const [slow, kept] = [new Agent(options), new Agent(options)];
    try {
      const { promise: replaced, resolve: goOn } = Promise.withResolvers<void>();
      async function* inTwo(): AsyncGenerator<string> {
        yield body.slice(0, 5);
        await replaced;
        yield body.slice(5);
      }
      const underWay = request(path, {
        method: 'POST',
        dispatcher: slow,
        headers,
        body: Readable.from(inTwo()),
      });
      const statuses: number[] = [];
      for (let turn = 0; turn < 5; turn += 1) {
        server.setCertificate(await certificate(`turn-${turn}`));
        const answer = await request(path, { method: 'POST', dispatcher: kept, headers, body });
        await answer.body.dump();
        const fresh = await ask(path.pathname, { token: 'token-of-db', body });
        statuses.push(answer.statusCode, fresh.status);
      }
      goOn();
      statuses.push((await underWay).statusCode);
      expect(statuses).toEqual(Array(11).fill(200));
    } finally {
      await Promise.all([slow.destroy(), kept.destroy()]);
    }
  });

  it('keeps a working certificate when the new one does not fit its key', async () => {
    const [one, two] = [await certificate('third'), await certificate('fourth')];
    expect(() => server.setCertificate({ cert: one.cert, key: two.key })).toThrow();
    expect((await ask('/', { token: 'token-of-web', method: 'GET' })).status).toBe(404);
  });

  it('survives a connection that speaks no TLS', async () => {
    await new Promise<void>((resolve) => {
      const socket = connectTcp(Number(new URL(url).port), '127.0.0.1', () =>
        socket.write('GET / HTTP/1.1\r\n\r\n'),
      );
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.resume();
    });
    expect((await ask('/', { token: 'token-of-web', method: 'GET' })).status).toBe(404);
  });
});
