import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RegistryClient } from './client.ts';
import { MEDIA_TYPES } from './manifest.ts';
import { parseReference } from './reference.ts';
import { CredentialStore } from './registry/credentials.ts';
import { parseDockerConfig } from './registry/docker-config.ts';
import type { RegistryClientOptions } from './registry/options.ts';
import { breakOff, digestOf, sendBlob, TestRegistry } from './registry/test-registry.ts';
import type { Descriptor, ImageReference } from './types.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };
const ARM64 = { os: 'linux', architecture: 'arm64' };
const never = new AbortController().signal;

let registry: TestRegistry;
let elsewhere: TestRegistry;
let slept: number[];
let clients: RegistryClient[];

beforeEach(async () => {
  registry = await TestRegistry.start();
  elsewhere = await TestRegistry.start();
  slept = [];
  clients = [];
});

afterEach(async () => {
  for (const client of clients) await client[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await elsewhere[Symbol.asyncDispose]();
});

/** A client that does not really sleep, but notes for how long it would have. */
function client(options: RegistryClientOptions = {}): RegistryClient {
  const made = new RegistryClient({
    random: () => 1,
    sleep: async (milliseconds, signal) => {
      signal.throwIfAborted();
      slept.push(milliseconds);
    },
    ...options,
  });
  clients.push(made);
  return made;
}

function image(rest = 'team/app', at: TestRegistry = registry): ImageReference {
  return parseReference(`${at.name}/${rest}`);
}

function credentials(...names: readonly string[]): CredentialStore {
  const auth = Buffer.from('user:hunter2').toString('base64');
  const auths = Object.fromEntries(names.map((name) => [name, { auth }]));
  return new CredentialStore([parseDockerConfig(JSON.stringify({ auths }), 'test')]);
}

async function pull(
  from: RegistryClient,
  descriptor: Descriptor,
  signal = never,
  reference = image(),
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of from.openBlob(reference, descriptor, signal)) parts.push(part);
  return Buffer.concat(parts);
}

const content = randomBytes(300_000);

describe('resolving', () => {
  it('follows a tag to the manifest and configuration', async () => {
    const { manifest, layers } = registry.addImage([content]);
    const resolved = await client().resolve(image(), AMD64, never);
    expect(resolved).toEqual({
      reference: image(),
      digest: manifest.digest,
      config: {
        architecture: 'amd64',
        os: 'linux',
        config: { Cmd: ['/bin/true'] },
        diffIds: [digestOf(content)],
      },
      layers,
    });
    expect(await client().resolveDigest(image(), never)).toBe(manifest.digest);
  });

  it('takes the wanted platform of an index and remembers statements about it', async () => {
    const arm = registry.addImage([content], { architecture: 'arm64', tags: [] }).manifest;
    const amd = registry.addImage([content], { tags: [] }).manifest;
    const about = registry.addManifest({}, MEDIA_TYPES.ociManifest);
    const annotations = {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': amd.digest,
    };
    const unknown = { os: 'unknown', architecture: 'unknown' };
    const index = registry.addManifest(
      {
        schemaVersion: 2,
        manifests: [
          { ...about, platform: unknown, annotations },
          { ...arm, platform: { ...ARM64, variant: 'v8' } },
          { ...amd, platform: AMD64 },
        ],
      },
      MEDIA_TYPES.ociIndex,
      'v1',
    );
    const resolved = await client().resolve(image('team/app:v1'), AMD64, never);
    expect(resolved).toMatchObject({ digest: amd.digest, index: index.digest });
    const manifests = registry.requests.filter(({ path }) => path.includes('/manifests/'));
    expect(manifests.map(({ path }) => path.split('/').at(-1))).toEqual(['v1', amd.digest]);
    expect(resolved.attestations?.map(({ digest }) => digest)).toEqual([about.digest]);
    expect((await client().resolve(image('team/app:v1'), ARM64, never)).digest).toBe(arm.digest);
    await expect(
      client().resolve(image('team/app:v1'), { os: 'linux', architecture: 'riscv64' }, never),
    ).rejects.toMatchObject({
      code: 'PlatformMissing',
      message: expect.stringContaining('linux/arm64/v8, linux/amd64'),
    });
  });

  it('checks the architecture of a single manifest', async () => {
    registry.addImage([content], { architecture: 'arm64' });
    await expect(client().resolve(image(), AMD64, never)).rejects.toMatchObject({
      code: 'PlatformMissing',
      message: expect.stringMatching(/no image for linux\/amd64; it is for linux\/arm64/),
    });
  });

  it('is not fooled about digests', async () => {
    const { manifest } = registry.addImage([content]);
    const other = digestOf(Buffer.from('other'));
    const pinned = image(`team/app@${other}`);
    registry.misbehave((request, response) => {
      if (!request.url?.endsWith(other)) return false;
      response.end('{"schemaVersion":2}');
      return true;
    });
    await expect(client().resolve(pinned, AMD64, never)).rejects.toMatchObject({
      code: 'DigestMismatch',
      message: expect.stringContaining(other),
    });
    expect(await client().resolveDigest(image(`team/app@${manifest.digest}`), never)).toBe(manifest.digest);
  });

  it.each([
    [
      'an artifact',
      {
        config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(content), size: 2 },
        layers: [],
      },
      'UnsupportedMediaType',
    ],
    ['an index and image at once', { manifests: [], layers: [] }, 'InvalidManifest'],
    ['another type than it says', { mediaType: MEDIA_TYPES.ociIndex, manifests: [] }, 'InvalidManifest'],
    [
      'schema 1',
      { schemaVersion: 1, fsLayers: [] },
      'UnsupportedMediaType',
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
    ],
    ['no JSON', '<html>', 'InvalidManifest'],
    ['a list', [], 'InvalidManifest'],
    [
      'a layer of no size',
      { config: { mediaType: MEDIA_TYPES.ociConfig, digest: digestOf(content), size: 1 }, layers: [{}] },
      'InvalidManifest',
    ],
    [
      'too many layers',
      {
        config: { mediaType: MEDIA_TYPES.ociConfig, digest: digestOf(content), size: 1 },
        layers: Array.from({ length: 1001 }, () => ({})),
      },
      'LimitExceeded',
    ],
  ])('refuses %s', async (_, document, code, mediaType: string = MEDIA_TYPES.ociManifest) => {
    registry.addManifest(document, mediaType, 'latest');
    await expect(client().resolve(image(), AMD64, never)).rejects.toMatchObject({ code });
  });

  it('takes octets for what they are', async () => {
    const { manifest } = registry.addImage([content], { tags: [] });
    registry.misbehave((request, response) => {
      if (request.method !== 'GET' || !request.url?.endsWith('/latest')) return false;
      response.writeHead(307, {
        location: `/v2/team/app/manifests/${manifest.digest}`,
        'content-type': 'application/octet-stream',
      });
      response.end();
      return true;
    });
    expect((await client().resolve(image(), AMD64, never)).digest).toBe(manifest.digest);
  });

  it('says what is missing', async () => {
    await expect(client().resolve(image('team/app:v9'), AMD64, never)).rejects.toMatchObject({
      code: 'ImageNotFound',
      message: `image ${registry.name}/team/app:v9: registry ${registry.name} does not have it (404: MANIFEST_UNKNOWN, manifest unknown); check repository, tag and digest`,
    });
  });

  it('asks by GET where HEAD is not known', async () => {
    const { manifest } = registry.addImage([content]);
    registry.misbehave((request, response) => {
      if (request.method !== 'HEAD') return false;
      response.writeHead(405).end();
      return true;
    });
    expect(await client().resolveDigest(image(), never)).toBe(manifest.digest);
  });

  it('stops reading an endless manifest', async () => {
    registry.misbehave((_, response) => {
      response.writeHead(200, { 'content-type': MEDIA_TYPES.ociManifest });
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, ' ')));
        if (!response.destroyed) response.once('drain', pour);
      };
      pour();
      return true;
    });
    await expect(client().resolve(image(), AMD64, never)).rejects.toMatchObject({
      code: 'LimitExceeded',
      message: expect.stringContaining('maxManifestBytes'),
    });
  });

  it('gives up a document that never ends, however alive its connection', async () => {
    registry.misbehave((_, response) => {
      response.writeHead(200, { 'content-type': MEDIA_TYPES.ociManifest });
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
      return true;
    });
    await expect(
      client({ limits: { documentTimeout: 200 } }).resolve(image(), AMD64, never),
    ).rejects.toMatchObject({
      code: 'RegistryUnreachable',
      message: expect.stringContaining('within 0.2 s'),
    });
  });
});

describe('failing and trying again', () => {
  it('waits as long as it is told to, and else longer each time', async () => {
    const { manifest } = registry.addImage([content]);
    registry.misbehave((_, response, count) => {
      if (count > 3) return false;
      response.writeHead([429, 503, 500][count - 1] ?? 500, count === 1 ? { 'retry-after': '7' } : {}).end();
      return true;
    });
    const { digest } = await client().fetchDocument(image(), never);
    expect(digest).toBe(manifest.digest);
    expect(slept).toEqual([7000, 500, 1000]);
  });

  it.each([
    [429, 'limits the rate'],
    [503, 'not able to answer'],
  ])('gives up on %i', async (status, words) => {
    registry.misbehave((_, response) => {
      response.writeHead(status).end();
      return true;
    });
    await expect(client().resolve(image(), AMD64, never)).rejects.toMatchObject({
      code: 'RegistryUnreachable',
      message: expect.stringContaining(words),
    });
    expect(slept).toEqual([250, 500, 1000, 2000]);
  });

  it('does not wait for an hour', async () => {
    registry.misbehave((_, response) => {
      response.writeHead(429, { 'retry-after': '3600' }).end();
      return true;
    });
    await expect(client().resolve(image(), AMD64, never)).rejects.toMatchObject({
      code: 'RegistryUnreachable',
    });
    expect(slept).toEqual([]);
  });

  it('tries again when the connection breaks', async () => {
    const { manifest } = registry.addImage([content]);
    registry.misbehave((request, _, count) => {
      if (count > 2) return false;
      request.socket.destroy();
      return true;
    });
    expect((await client().resolve(image(), AMD64, never)).digest).toBe(manifest.digest);
  });

  it('tries again when an answer breaks off', async () => {
    const { manifest } = registry.addImage([content]);
    registry.misbehave((request, response, count) => {
      if (count > 1 || !request.url?.includes('/manifests/')) return false;
      response.writeHead(200, { 'content-length': 500 });
      response.write('{', () => response.socket?.destroy());
      return true;
    });
    expect((await client().resolve(image(), AMD64, never)).digest).toBe(manifest.digest);
  });

  it('says where nobody listens', async () => {
    const gone = await TestRegistry.start();
    const reference = image('a/b', gone);
    const { name } = gone;
    await gone[Symbol.asyncDispose]();
    await expect(client().resolve(reference, AMD64, never)).rejects.toMatchObject({
      code: 'RegistryUnreachable',
      message: expect.stringMatching(
        new RegExp(`registry ${name} at http://${name} cannot be reached: .*ECONNREFUSED`),
      ),
    });
  });

  it('is cancelled with the reason it is given', async () => {
    registry.misbehave(() => true);
    const reason = new Error('no longer wanted');
    const abort = new AbortController();
    const resolving = client().resolve(image(), AMD64, abort.signal);
    await expect.poll(() => registry.requests.length).toBeGreaterThan(0);
    abort.abort(reason);
    await expect(resolving).rejects.toBe(reason);
  });
});

describe('mirrors', () => {
  it('come first and are asked for what is below their path', async () => {
    const { manifest } = elsewhere.addImage([content]);
    const mirrors = new Map([[registry.name, [`${elsewhere.name}/cache`]]]);
    expect((await client({ mirrors }).resolve(image(), AMD64, never)).digest).toBe(manifest.digest);
    expect(registry.requests).toEqual([]);
    expect(elsewhere.requests[0]?.path).toBe('/v2/cache/team/app/manifests/latest');
  });

  it('are asked in their order, and the registry after the last', async () => {
    const { manifest } = registry.addImage([content]);
    const mirrors = new Map([[registry.name, [`${elsewhere.name}/first`, `${elsewhere.name}/second`]]]);
    expect((await client({ mirrors }).resolve(image(), AMD64, never)).digest).toBe(manifest.digest);
    const manifests = elsewhere.requests.map(({ path }) => path).filter((path) => path.endsWith('/latest'));
    expect(manifests).toEqual(['first', 'second'].map((path) => `/v2/${path}/team/app/manifests/latest`));
    expect(registry.count('GET', '/v2/team/app/manifests/latest')).toBe(1);

    const cached = elsewhere.addImage([randomBytes(10)]).manifest;
    elsewhere.misbehave((request, response) => {
      if (!request.url?.startsWith('/v2/first/')) return false;
      response.writeHead(404).end();
      return true;
    });
    expect((await client({ mirrors }).resolve(image(), AMD64, never)).digest).toBe(cached.digest);
    expect(registry.count('GET', '/v2/team/app/manifests/latest')).toBe(1);
  });

  it('are passed over when they fail, and get no credentials of others', async () => {
    const { manifest } = registry.addImage([content]);
    const mirrors = new Map([[registry.name, [elsewhere.name]]]);
    const options = { mirrors, credentials: credentials(registry.name) };
    elsewhere.misbehave((_, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="mirror"' }).end();
      return true;
    });
    expect((await client(options).resolve(image(), AMD64, never)).digest).toBe(manifest.digest);
    expect(elsewhere.requests.map(({ headers }) => headers['authorization'])).toEqual([undefined, undefined]);
    await expect(client(options).resolve(image('team/app:v2'), AMD64, never)).rejects.toMatchObject({
      code: 'ImageNotFound',
      message: expect.stringContaining(`mirrors failed too: ${elsewhere.name} (RegistryUnauthorized)`),
    });
  });

  it('need no patience with a registry behind them that is out of reach, but for the first time', async () => {
    const mirrored = client({ mirrors: new Map([[registry.name, [elsewhere.name]]]) });
    let away = true;
    registry.misbehave((request) => {
      if (away) request.destroy();
      return away;
    });
    const ask = (tag: string) => mirrored.fetchDocument(image(`team/app:${tag}`), never);
    for (const pauses of [4, 0, 0]) {
      slept = [];
      await expect(ask('v1')).rejects.toMatchObject({ code: 'RegistryUnreachable' });
      expect(slept).toHaveLength(pauses);
    }
    // Once it answers, it is a registry like any other.
    away = false;
    const { manifest } = registry.addImage([content], { tags: ['v2'] });
    expect((await ask('v2')).digest).toBe(manifest.digest);
    away = true;
    slept = [];
    await expect(ask('v1')).rejects.toMatchObject({ code: 'RegistryUnreachable' });
    expect(slept).toHaveLength(4);
  });
});

/** Makes the registry want a bearer token that `server` gives out. */
function wantToken(
  server: TestRegistry,
  give: (authorization: string | undefined) => Record<string, unknown> | undefined,
): void {
  registry.misbehave((request, response) => {
    if (request.headers.authorization?.startsWith('Bearer good')) return false;
    const challenge = `Bearer realm="${server.url}/token?x=1",service="the registry",scope="repository:secret:push"`;
    response.writeHead(401, { 'www-authenticate': challenge }).end('{}');
    return true;
  });
  server.misbehave((request, response) => {
    if (!request.url?.startsWith('/token')) return false;
    const answer = give(request.headers.authorization);
    response.writeHead(answer === undefined ? 401 : 200).end(JSON.stringify(answer ?? {}));
    return true;
  });
}

describe('authentication', () => {
  it('fetches one token for many requests, and only for pulling this repository', async () => {
    registry.addImage([content]);
    wantToken(elsewhere, () => ({ token: 'good', expires_in: 300 }));
    const puller = client({ credentials: credentials(registry.name) });
    await Promise.all(
      ['latest', 'latest', 'latest'].map((tag) => puller.resolve(image(`team/app:${tag}`), AMD64, never)),
    );
    expect(elsewhere.requests.map(({ path }) => path)).toEqual([
      '/token?x=1&service=the+registry&scope=repository%3Ateam%2Fapp%3Apull',
    ]);
    expect(elsewhere.requests[0]?.headers['authorization']).toBe(
      `Basic ${Buffer.from('user:hunter2').toString('base64')}`,
    );
    expect(
      registry.requests.some(({ headers }) => String(headers['authorization']).startsWith('Basic')),
    ).toBe(false);
  });

  it('fetches another token when one has expired', async () => {
    registry.addImage([content]);
    let tokens = 0;
    let now = 1_000_000;
    wantToken(elsewhere, () => ({ access_token: `good${++tokens}`, expires_in: 60 }));
    const puller = client({ now: () => now });
    await puller.resolve(image(), AMD64, never);
    await puller.resolve(image(), AMD64, never);
    expect(tokens).toBe(1);
    now += 56_000;
    await puller.resolve(image(), AMD64, never);
    expect(tokens).toBe(2);
  });

  it('fetches another token when one is no longer taken', async () => {
    const { manifest } = registry.addImage([content]);
    let valid = 0;
    registry.misbehave((request, response) => {
      if (request.url?.startsWith('/token')) {
        response.end(JSON.stringify({ token: `t${++valid}` }));
        return true;
      }
      if (request.headers.authorization === `Bearer t${valid}`) return false;
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${registry.url}/token"` }).end();
      return true;
    });
    const puller = client();
    await puller.resolve(image(), AMD64, never);
    expect(valid).toBe(1);
    valid = 7;
    expect((await puller.resolve(image(), AMD64, never)).digest).toBe(manifest.digest);
    expect(valid).toBe(8);
  });

  it('trades an identity token', async () => {
    registry.addImage([content]);
    wantToken(elsewhere, () => ({ access_token: 'good' }));
    const config = parseDockerConfig(
      JSON.stringify({ auths: { [registry.name]: { identitytoken: 'refresh' } } }),
      'x',
    );
    await client({ credentials: new CredentialStore([config]) }).resolve(image(), AMD64, never);
    expect(elsewhere.requests[0]?.method).toBe('POST');
    expect(elsewhere.requests[0]?.headers['authorization']).toBeUndefined();
  });

  it('answers a basic challenge, once', async () => {
    const { manifest } = registry.addImage([content]);
    const expected = `Basic ${Buffer.from('user:hunter2').toString('base64')}`;
    registry.misbehave((request, response) => {
      if (request.headers.authorization === expected) return false;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      return true;
    });
    const puller = client({ credentials: credentials(registry.name) });
    expect((await puller.resolve(image(), AMD64, never)).digest).toBe(manifest.digest);
    await expect(client().resolve(image(), AMD64, never)).rejects.toMatchObject({
      code: 'RegistryUnauthorized',
      message: expect.stringContaining('there are no credentials for it'),
    });
  });

  it('ends when no token is ever good enough, and repeats no secret', async () => {
    wantToken(elsewhere, () => ({ token: 'bad' }));
    const puller = client({ credentials: credentials(registry.name) });
    const error: unknown = await puller.resolve(image(), AMD64, never).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'RegistryUnauthorized',
      message: expect.stringContaining('wrong or not allowed'),
    });
    expect(String(error)).not.toMatch(/hunter2|bad/);
    expect(registry.requests.length).toBe(2);
  });

  it('says when the token server refuses', async () => {
    wantToken(elsewhere, () => undefined);
    await expect(
      client({ credentials: credentials(registry.name) }).resolve(image(), AMD64, never),
    ).rejects.toMatchObject({
      code: 'RegistryUnauthorized',
      message: expect.stringMatching(/token server .*\/token does not accept the credentials/),
    });
  });

  it.each([
    'http://tokens.example/t',
    'ftp://127.0.0.1/t',
    'https://user:pw@tokens.example/t',
    '::',
    undefined,
  ])('sends nothing to the token server %s', async (realm) => {
    registry.misbehave((_, response) => {
      response
        .writeHead(401, {
          'www-authenticate': realm === undefined ? 'Bearer x=y' : `Bearer realm="${realm}"`,
        })
        .end();
      return true;
    });
    await expect(
      client({ credentials: credentials(registry.name) }).resolve(image(), AMD64, never),
    ).rejects.toMatchObject({
      code: 'RegistryRefused',
      message: expect.not.stringContaining('pw'),
    });
  });

  it.each([{ token: 'two\r\nlines' }, { token: 1 }, {}, []])(
    'refuses the token answer %j',
    async (answer) => {
      wantToken(elsewhere, () => answer as Record<string, unknown>);
      await expect(client().resolve(image(), AMD64, never)).rejects.toMatchObject({
        code: 'RegistryRefused',
      });
    },
  );
});

describe('redirects', () => {
  it('are followed without credentials, and a challenge from elsewhere is not answered', async () => {
    const blob = elsewhere.addBlob(content, MEDIA_TYPES.ociLayer);
    registry.misbehave((request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      } else response.writeHead(307, { location: `${elsewhere.url}${request.url}?signature=s3cret` }).end();
      return true;
    });
    elsewhere.misbehave((request, response, count) => {
      if (count > 1) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
        return true;
      }
      sendBlob(request, response, content);
      return true;
    });
    const puller = client({ credentials: credentials(registry.name, elsewhere.name) });
    expect(await pull(puller, blob)).toEqual(content);
    const error: unknown = await pull(puller, blob).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'RegistryUnauthorized' });
    expect(String(error)).not.toContain('s3cret');
    expect(elsewhere.requests.map(({ headers }) => headers['authorization'])).toEqual([undefined, undefined]);
  });

  it('do not go round for ever', async () => {
    registry.misbehave((request, response) => {
      response.writeHead(302, { location: request.url ?? '/' }).end();
      return true;
    });
    await expect(client().resolve(image(), AMD64, never)).rejects.toMatchObject({ code: 'TooManyRedirects' });
    expect(registry.requests.length).toBe(6);
  });

  it.each([
    'http://blobs.example/x',
    'file:///etc/passwd',
    'https://user:pw@blobs.example/',
    'http://',
    undefined,
  ])('do not lead to %s', async (location) => {
    registry.misbehave((_, response) => {
      response.writeHead(302, location === undefined ? {} : { location }).end();
      return true;
    });
    await expect(client().resolve(image(), AMD64, never)).rejects.toMatchObject({
      code: 'RegistryRefused',
      message: expect.not.stringContaining('pw'),
    });
  });
});

describe('blobs', () => {
  it('arrive whole', async () => {
    const blob = registry.addBlob(content, MEDIA_TYPES.ociLayer);
    expect(await pull(client(), blob)).toEqual(content);
    const empty = registry.addBlob(Buffer.alloc(0), MEDIA_TYPES.ociLayer);
    expect(await pull(client(), empty)).toEqual(Buffer.alloc(0));
  });

  it('are taken up again where the connection broke', async () => {
    const blob = registry.addBlob(content, MEDIA_TYPES.ociLayer);
    registry.misbehave((request, response, count) => {
      if (count > 7) return false;
      breakOff(request, response, content, 40_000);
      return true;
    });
    expect(await pull(client(), blob)).toEqual(content);
    const starts = registry.requests.map(({ headers }) => headers['range']);
    expect(starts[0]).toBeUndefined();
    expect(starts.length).toBe(8);
    expect(starts.at(-1)).toMatch(/^bytes=[1-9][0-9]*-$/);
  });

  it('are taken up again from servers that know no ranges', async () => {
    const blob = registry.addBlob(content, MEDIA_TYPES.ociLayer);
    registry.misbehave((request, response, count) => {
      delete request.headers.range;
      if (count === 1) breakOff(request, response, content, 100_000);
      else sendBlob(request, response, content);
      return true;
    });
    expect(await pull(client(), blob)).toEqual(content);
  });

  it('are given up when nothing more comes', async () => {
    const blob = registry.addBlob(content, MEDIA_TYPES.ociLayer);
    registry.misbehave((request, response, count) => {
      breakOff(request, response, content, count === 1 ? 100_000 : 0);
      return true;
    });
    await expect(pull(client(), blob)).rejects.toMatchObject({
      code: 'RegistryUnreachable',
      message: expect.stringContaining('of 300000 bytes'),
    });
  });

  it('must be the bytes that were asked for', async () => {
    const blob = registry.addBlob(content, MEDIA_TYPES.ociLayer);
    registry.misbehave((_, response, count) => {
      if (count === 1) return false;
      response.writeHead(206, { 'content-range': 'bytes 5-9/300000' }).end('x');
      return true;
    });
    expect(await pull(client(), blob)).toEqual(content);
    await expect(pull(client(), blob)).rejects.toMatchObject({ code: 'RegistryRefused' });
  });

  it.each<[string, (blob: Buffer) => Buffer, boolean, string]>([
    ['a flipped bit', (blob) => Buffer.from(blob).fill(0, 1000, 1001), true, 'DigestMismatch'],
    ['too much, announced', (blob) => Buffer.concat([blob, blob]), true, 'SizeMismatch'],
    ['too much, unannounced', (blob) => Buffer.concat([blob, blob]), false, 'SizeMismatch'],
    ['too little, announced', (blob) => blob.subarray(1), true, 'SizeMismatch'],
    ['too little, unannounced', (blob) => blob.subarray(1), false, 'SizeMismatch'],
  ])('fail with %s, before they end', async (_, damage, announced, code) => {
    const blob = registry.addBlob(content, MEDIA_TYPES.ociLayer);
    const sent = damage(content);
    registry.misbehave((_request, response) => {
      response.writeHead(200, announced ? { 'content-length': sent.length } : {});
      response.end(sent);
      return true;
    });
    let received = 0;
    const reading = (async () => {
      for await (const part of client().openBlob(image(), blob, never)) received += part.length;
    })();
    await expect(reading).rejects.toMatchObject({
      code,
      message: expect.stringMatching(new RegExp(`image ${registry.name}/team/app: blob ${blob.digest}`)),
    });
    expect(received).toBeLessThanOrEqual(content.length);
  });

  it('must not be too slow, but their reader may be', async () => {
    const blob = registry.addBlob(content, MEDIA_TYPES.ociLayer);
    registry.misbehave((_, response, count) => {
      if (count > 1) return false;
      response.writeHead(200, { 'content-length': content.length });
      const drip = setInterval(() => response.write('.'), 10);
      response.on('close', () => clearInterval(drip));
      return true;
    });
    const slow = client({ limits: { blobWindow: 150, minBlobBytesPerWindow: 1000 } });
    await expect(pull(slow, blob)).rejects.toMatchObject({
      code: 'RegistryUnreachable',
      message: expect.stringContaining('minBlobBytesPerWindow'),
    });
    let now = 0;
    const patient = client({ now: () => now, limits: { blobWindow: 150, minBlobBytesPerWindow: 10 ** 9 } });
    for await (const part of patient.openBlob(image(), blob, never)) now += part.length;
    expect(now).toBe(content.length);
  });

  it('must not be larger than a build can take', async () => {
    const blob = { ...registry.addBlob(content, MEDIA_TYPES.ociLayer), size: 2 ** 40 };
    await expect(pull(client(), blob)).rejects.toThrow(/maxBlobBytes/);
  });

  it('are left when they are no longer wanted', async () => {
    const blob = registry.addBlob(content, MEDIA_TYPES.ociLayer);
    const abort = new AbortController();
    let closed = false;
    registry.misbehave((_, response) => {
      response.on('close', () => {
        closed = true;
      });
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 1000));
      return true;
    });
    const reason = new Error('cancelled');
    const reading = (async () => {
      for await (const part of client().openBlob(image(), blob, abort.signal))
        if (part.length > 0) abort.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
    await expect.poll(() => closed).toBe(true);
  });
});

it('pulls gzip as it is, whatever encodings are about', async () => {
  const blob = registry.addBlob(gzipSync(content), MEDIA_TYPES.ociLayer);
  await pull(client(), blob);
  expect(registry.requests[0]?.headers['accept-encoding']).toBe('identity');
});
