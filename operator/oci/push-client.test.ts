import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../errors.ts';
import { MEDIA_TYPES } from './manifest.ts';
import { PushClient } from './push-client.ts';
import { CredentialStore } from './registry/credentials.ts';
import { parseDockerConfig } from './registry/docker-config.ts';
import type { RegistryClientOptions } from './registry/options.ts';
import { digestOf, type Fault, TestRegistry } from './registry/test-registry.ts';

const never = new AbortController().signal;
const PASSWORD = 'hunter2';
const REPOSITORY = 'team/boot';
const UPLOADS = `/v2/${REPOSITORY}/blobs/uploads/`;
const content = randomBytes(300_000);
const blob = { digest: digestOf(content), size: content.length };
const manifest = {
  digest: digestOf(Buffer.from('{}')),
  mediaType: MEDIA_TYPES.ociManifest,
  bytes: Buffer.from('{}'),
};

let registry: TestRegistry;
let elsewhere: TestRegistry;
let opened: Readable[];
let slept: number[];

beforeEach(async () => {
  [registry, elsewhere] = await Promise.all([TestRegistry.start(), TestRegistry.start()]);
  [opened, slept] = [[], []];
});

afterEach(async () => {
  await Promise.all([registry[Symbol.asyncDispose](), elsewhere[Symbol.asyncDispose]()]);
  expect(opened.map((stream) => stream.destroyed)).toEqual(opened.map(() => true));
});

/** In pieces, so that there is an end and a middle. */
const open = async (): Promise<Readable> => {
  const stream = Readable.from(
    [0, 1, 2].map((part) => content.subarray(part * 100_000, (part + 1) * 100_000)),
  );
  opened.push(stream);
  return stream;
};

async function pushing<T>(
  act: (client: PushClient) => Promise<T>,
  options: RegistryClientOptions = {},
): Promise<T> {
  await using client = new PushClient(
    { registry: registry.name, repository: REPOSITORY },
    {
      random: () => 1,
      sleep: async (milliseconds, signal) => {
        signal.throwIfAborted();
        slept.push(milliseconds);
      },
      ...options,
    },
  );
  return await act(client);
}

const pushBlob = (options?: RegistryClientOptions) =>
  pushing((client) => client.pushBlob(blob, open, never), options);

function credentials(...names: readonly string[]): CredentialStore {
  const auth = Buffer.from(`user:${PASSWORD}`).toString('base64');
  const auths = Object.fromEntries(names.map((name) => [name, { auth }]));
  return new CredentialStore([parseDockerConfig(JSON.stringify({ auths }), 'test')]);
}

const asked = (method: string) =>
  registry.requests.filter((request) => request.method === method).map(({ path }) => path);

/** Answers requests of a method, from the first on up to the last one named. */
const faulty =
  (
    method: string,
    times: number,
    answer: (request: IncomingMessage, response: ServerResponse) => void,
  ): Fault =>
  (request, response) => {
    if (request.method !== method || times === 0) return false;
    times -= 1;
    answer(request, response);
    return true;
  };

const status =
  (code: number, headers: Record<string, string> = {}) =>
  (request: IncomingMessage, response: ServerResponse): void => {
    request.resume();
    response.writeHead(code, headers);
    response.end();
  };

describe('a blob', () => {
  it('is sent in one piece, of announced length, to where the registry says', async () => {
    expect(await pushBlob()).toBe('pushed');
    expect(registry.pushed(blob.digest)).toEqual(content);
    expect(asked('PUT')).toEqual([`${UPLOADS}1?_state=a%20b&digest=sha256%3A${blob.digest.slice(7)}`]);
    const { headers } = registry.requests.at(-1) ?? {};
    expect(headers).toMatchObject({
      'content-length': '300000',
      'content-type': 'application/octet-stream',
    });
    expect(headers).not.toHaveProperty('transfer-encoding');
  });

  it('is not even opened when it is there', async () => {
    registry.addBlob(content, 'x');
    expect(await pushBlob()).toBe('present');
    expect(opened).toEqual([]);
    expect(asked('POST')).toEqual([]);
  });

  it.each<[string, () => Fault]>([
    [
      'a connection that breaks',
      () => faulty('PUT', 2, (request) => request.once('data', () => request.socket.destroy())),
    ],
    ['a registry that is overloaded', () => faulty('PUT', 2, status(503))],
    ['a registry that has forgotten the upload', () => faulty('PUT', 2, status(404))],
    ['a registry that begins no upload', () => faulty('POST', 2, status(500))],
  ])('is begun again after %s', async (_, fault) => {
    registry.misbehave(fault());
    expect(await pushBlob()).toBe('pushed');
    expect(registry.pushed(blob.digest)).toEqual(content);
    expect(asked('POST')).toHaveLength(3);
    expect(slept).toEqual([250, 500]);
  });

  it('is not sent again if it has arrived without an answer', async () => {
    registry.misbehave((request) => {
      if (request.method === 'PUT' && registry.pushed(blob.digest) === undefined) {
        registry.addBlob(content, 'x');
        request.socket.destroy();
        return true;
      }
      return false;
    });
    expect(await pushBlob()).toBe('present');
    expect(asked('PUT')).toHaveLength(1);
  });

  it.each<[string, string, Fault, RegExp]>([
    [
      'a refusal',
      'RegistryRefused',
      faulty('PUT', 99, status(413)),
      /team\/boot: blob sha256:.* answered 413/,
    ],
    ['no repository', 'RegistryRefused', faulty('POST', 99, status(404)), /no such repository \(404/],
    [
      'no credentials',
      'RegistryUnauthorized',
      faulty('POST', 99, status(403)),
      /\(403\): there are no credentials/,
    ],
    ['a registry that stays away', 'RegistryUnreachable', faulty('PUT', 99, status(503)), /\(503\)/],
    [
      'an upload without a place',
      'RegistryRefused',
      faulty('POST', 99, status(202)),
      /redirected to nowhere/,
    ],
    [
      'an upload that nothing was sent to',
      'RegistryRefused',
      faulty('POST', 99, status(201)),
      /answers 201, out of turn/,
    ],
    [
      'a redirect that loses the blob',
      'RegistryRefused',
      faulty('PUT', 99, status(302, { location: '/' })),
      /redirects a PUT \(302\)/,
    ],
    [
      'a place without TLS on another host',
      'RegistryRefused',
      faulty('POST', 99, status(202, { location: 'http://registry.example/upload?token=secret' })),
      /redirected to http:\/\/registry\.example\/upload, which is not allowed$/,
    ],
  ])('fails over %s', async (_, code, fault, message) => {
    registry.misbehave(fault);
    const failure = { code, message: expect.stringMatching(message) as string };
    await expect(pushBlob()).rejects.toMatchObject(failure);
    await expect(pushBlob()).rejects.toMatchObject({
      message: expect.stringContaining(`push to ${registry.name}/${REPOSITORY}`) as string,
    });
  });

  it('fails over bytes of another digest, and over its source, whose error it hands on', async () => {
    const wrong = { ...blob, digest: digestOf(Buffer.from('other')) };
    await expect(pushing((client) => client.pushBlob(wrong, open, never))).rejects.toMatchObject({
      code: 'RegistryRefused',
      message: expect.stringMatching(/answered 400: DIGEST_INVALID/) as string,
    });
    class SourceError extends CodedError<'SourceBroke'> {}
    const broken = async (): Promise<Readable> =>
      Readable.from(
        (async function* () {
          yield content.subarray(0, 100_000);
          throw new SourceError('SourceBroke', 'storage is gone');
        })(),
      );
    await expect(pushing((client) => client.pushBlob(blob, broken, never))).rejects.toThrow(SourceError);
    expect(slept).toEqual([]);
    expect(registry.pushed(blob.digest)).toBeUndefined();
  });

  it('ends when it is called off, and lets go of its source', async () => {
    const caller = new AbortController();
    registry.misbehave((request) => {
      if (request.method !== 'PUT') return false;
      caller.abort(new Error('called off'));
      return true;
    });
    const push = pushing((client) => client.pushBlob(blob, open, caller.signal));
    await expect(push).rejects.toThrow('called off');
  });

  it('goes to another origin without the credentials, which are for the registry alone', async () => {
    const basic = `Basic ${Buffer.from(`user:${PASSWORD}`).toString('base64')}`;
    registry.misbehave((request, response) => {
      if (request.headers.authorization === basic) return false;
      status(401, { 'www-authenticate': 'Basic realm="r"' })(request, response);
      return true;
    });
    registry.misbehave(
      faulty('POST', 1, status(202, { location: `${elsewhere.url}${UPLOADS}9?_state=a%20b` })),
    );
    expect(await pushBlob({ credentials: credentials(registry.name) })).toBe('pushed');
    expect(elsewhere.pushed(blob.digest)).toEqual(content);
    expect(elsewhere.requests.map(({ headers }) => headers['authorization'])).toEqual([undefined]);
    expect(asked('POST')).toHaveLength(1);
  });

  it('needs a token that allows to push, which it asks for once', async () => {
    elsewhere.misbehave((request, response) => {
      if (request.url?.startsWith('/token') !== true) return false;
      response.end('{"token":"t0ken"}');
      return true;
    });
    registry.misbehave((request, response) => {
      if (request.headers.authorization === 'Bearer t0ken') return false;
      const challenge = `Bearer realm="${elsewhere.url}/token",service="s",scope="repository:other:pull"`;
      status(401, { 'www-authenticate': challenge })(request, response);
      return true;
    });
    expect(await pushBlob({ credentials: credentials(registry.name) })).toBe('pushed');
    expect(
      elsewhere.requests.map(({ path }) => new URL(path, elsewhere.url).searchParams.get('scope')),
    ).toEqual(['repository:team/boot:pull,push']);
  });

  it('is refused with wrong credentials, of which nothing is told', async () => {
    registry.misbehave((request, response) => {
      status(401, { 'www-authenticate': 'Basic realm="r"' })(request, response);
      return true;
    });
    const refused = await pushBlob({ credentials: credentials(registry.name) }).catch(
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({
      code: 'RegistryUnauthorized',
      message: expect.stringMatching(
        /\(401\): the credentials for it are wrong or not allowed to push/,
      ) as string,
    });
    expect(String(refused)).not.toContain(PASSWORD);
  });

  it('never goes to a mirror', async () => {
    await pushBlob({ mirrors: new Map([[registry.name, [elsewhere.name]]]) });
    expect(elsewhere.requests).toEqual([]);
  });
});

describe('a manifest', () => {
  const push = (options?: RegistryClientOptions) =>
    pushing((client) => client.pushManifest(manifest, 'one', never), options);

  it('is put under its digest, then under its tag', async () => {
    await push();
    expect(asked('PUT')).toEqual(
      [manifest.digest, 'one'].map((name) => `/v2/${REPOSITORY}/manifests/${name}`),
    );
    expect(registry.requests.at(-1)?.headers).toMatchObject({
      'content-type': MEDIA_TYPES.ociManifest,
      'content-length': '2',
    });
    expect(registry.pushed('one')).toEqual(manifest.bytes);
  });

  it('is left alone where the tag leads to it, and put where it leads elsewhere', async () => {
    registry.addManifest('{}', MEDIA_TYPES.ociManifest, 'one');
    await push();
    expect(asked('PUT')).toEqual([]);
    registry.addManifest('{"a":1}', MEDIA_TYPES.ociManifest, 'one');
    await push();
    expect(asked('PUT')).toHaveLength(2);
  });

  it('is put again after an answer that may pass', async () => {
    registry.misbehave(faulty('PUT', 2, status(502)));
    await push();
    expect(registry.pushed('one')).toEqual(manifest.bytes);
    expect(slept).toEqual([250, 500]);
  });

  it('fails where the registry makes another one of it', async () => {
    const other = digestOf(Buffer.from('x'));
    registry.misbehave(faulty('PUT', 1, status(201, { 'docker-content-digest': other })));
    await expect(push()).rejects.toMatchObject({
      code: 'DigestMismatch',
      message: expect.stringContaining(`keeps it as ${other}`) as string,
    });
  });
});
