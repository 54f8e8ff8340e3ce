import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, expect, test } from 'vitest';
import { ClusterAccess } from './access.ts';
import { ApiClient } from './api-client.ts';
import { ApiError } from './api-error.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { CONFIG_MAPS, type ConfigMap } from './resources.ts';

const signal = AbortSignal.timeout(60_000);
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that answers one request after the other by the given functions, the last one for ever. */
async function serving(
  answers: readonly Answer[],
  clock?: ManualClock,
): Promise<{
  readonly client: ApiClient;
  readonly requests: { url: string; authorization: string | undefined }[];
  readonly retries: string[];
}> {
  const requests: { url: string; authorization: string | undefined }[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    requests.push({ url: `${request.method} ${request.url}`, authorization: request.headers.authorization });
    request.resume().on('end', () => answer?.(request, response));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const config = new KubeConfig();
  let token = 0;
  // As a token file does: each time that credentials are asked for, another one.
  const user = {
    name: 'user',
    get token() {
      return `secret-token-${++token}`;
    },
  };
  config.loadFromClusterAndUser(
    {
      name: 'test',
      server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      skipTLSVerify: true,
    },
    user,
  );
  const access = new ClusterAccess(config);
  const retries: string[] = [];
  cleanups.push(async () => {
    await access[Symbol.asyncDispose]();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const metrics = {
    request: () => undefined,
    retry: ({ code }: { readonly code: string }) => void retries.push(code),
  };
  return {
    client: new ApiClient(access, { metrics, random: () => 0, ...(clock === undefined ? {} : { clock }) }),
    requests,
    retries,
  };
}

const json =
  (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
const map: ConfigMap = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'm', namespace: 'n', uid: 'u', resourceVersion: '1' },
};
const key = { namespace: 'n', name: 'm' };
const status = (code: number, reason: string): Answer =>
  json(code, { kind: 'Status', code, reason, message: `${reason} it is` });

const failure = async (promise: Promise<unknown>): Promise<ApiError> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('nothing failed');
};

test.each([
  [429, 'TooManyRequests', { 'retry-after': '1' }],
  [503, 'ServiceUnavailable', { 'retry-after': '1' }],
])(
  'a call that the server did not take (%i) is sent again after as long as it says',
  async (code, reason, headers) => {
    const clock = new ManualClock();
    const { client, requests, retries } = await serving(
      [json(code, { reason }, headers), json(200, map)],
      clock,
    );
    const answer = client.create(CONFIG_MAPS, map, { signal });
    await until(() => requests.length === 1 && clock.pending === 2);
    await clock.advance(999);
    expect(requests).toHaveLength(1);
    await clock.advance(1);
    expect(await answer).toMatchObject({ metadata: { name: 'm' } });
    expect(retries).toEqual([String(code)]);
  },
);

test('it is not sent again beyond the deadline', async () => {
  const clock = new ManualClock();
  const { client, requests } = await serving([json(429, {}, { 'retry-after': '3600' })], clock);
  const answer = failure(client.get(CONFIG_MAPS, key, { signal, timeoutMs: 20_000 }));
  await until(() => requests.length === 1 && clock.pending === 2);
  await clock.advance(20_000);
  expect((await answer).code).toBe('Timeout');
});

test.each([
  [500, 'InternalError', 'ServerError'],
  [503, 'ServiceUnavailable', 'ServerError'],
  [409, 'AlreadyExists', 'AlreadyExists'],
  [409, 'Conflict', 'Conflict'],
  [410, 'Expired', 'Gone'],
  [403, 'Forbidden', 'Forbidden'],
  [422, 'Invalid', 'Invalid'],
  [504, 'Timeout', 'Timeout'],
  [418, 'Teapot', 'BadRequest'],
])('%i %s is the error %s, at once', async (code, reason, expected) => {
  const { client, requests } = await serving([status(code, reason)]);
  const error = await failure(client.get(CONFIG_MAPS, key, { signal }));
  expect(error).toMatchObject({ code: expected, status: code, reason });
  expect(error.message).toBe(`get configmaps n/m: ${expected} (HTTP ${code}): ${reason} it is`);
  expect(requests).toHaveLength(1);
});

test('after a 401 new credentials are asked for, once', async () => {
  const { client, requests } = await serving([status(401, 'Unauthorized'), json(200, map)]);
  await client.get(CONFIG_MAPS, key, { signal });
  const [first, second] = requests.map(({ authorization }) => authorization);
  expect(first).toMatch(/^Bearer secret-token-\d+$/);
  expect(second).not.toBe(first);

  const locked = await serving([status(401, 'Unauthorized')]);
  const error = await failure(locked.client.get(CONFIG_MAPS, key, { signal }));
  expect(error.code).toBe('Unauthorized');
  expect(locked.requests).toHaveLength(2);
  expect(`${error.message}${error.stack}`).not.toContain('secret-token');
});

test.each<[string, Answer, string]>([
  ['no JSON', (_, response) => response.end('<html>'), 'InvalidAnswer'],
  ['JSON of another kind', json(200, { hello: 'world' }), 'InvalidAnswer'],
  [
    'an answer that breaks off',
    (_, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"metadata":');
      setImmediate(() => response.destroy());
    },
    'Unreachable',
  ],
  ['no answer at all', (_, response) => void response.destroy(), 'Unreachable'],
  ['an error that is no Status', (_, response) => response.writeHead(502).end('bad gateway'), 'ServerError'],
])('%s is an error of its own', async (_, answer, code) => {
  const { client } = await serving([answer]);
  expect((await failure(client.get(CONFIG_MAPS, key, { signal }))).code).toBe(code);
});

test('an endless error body is read no further than its limit', async () => {
  const { client } = await serving([
    (_, response) => {
      response.writeHead(500);
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      more();
    },
  ]);
  expect((await failure(client.get(CONFIG_MAPS, key, { signal }))).code).toBe('InvalidAnswer');
});

test('the caller’s own abort comes back as it was', async () => {
  const { client, requests } = await serving([() => undefined]);
  const stop = new AbortController();
  const call = client.get(CONFIG_MAPS, key, { signal: stop.signal });
  await until(() => requests.length === 1);
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(call).rejects.toBe(reason);
  await expect(client.get(CONFIG_MAPS, key, { signal: stop.signal })).rejects.toBe(reason);
});

test('names are escaped in paths, and selectors in queries', async () => {
  const { client, requests } = await serving([json(200, { metadata: { resourceVersion: '1' }, items: [] })]);
  await client.list(CONFIG_MAPS, { signal, namespace: 'a/../b', labelSelector: 'x in (a,b)' });
  expect(requests[0]?.url).toBe(
    'GET /api/v1/namespaces/a%2F..%2Fb/configmaps?labelSelector=x+in+%28a%2Cb%29&limit=500',
  );
});

test('the end of a log is cut at a whole character', async () => {
  const { client, requests } = await serving([(_, response) => response.end('first line\näöü€')]);
  const end = await client.podLogs(key, { signal, container: 'build', tailLines: 5, limitBytes: 6 });
  expect(end).toBe('ü€');
  expect(requests[0]?.url).toBe('GET /api/v1/namespaces/n/pods/m/log?container=build&tailLines=5');
});

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2_000 && !holds(); turn++) await settle();
  expect(holds()).toBe(true);
}
