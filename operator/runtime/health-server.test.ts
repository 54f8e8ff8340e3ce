import { expect, test } from 'vitest';
import { HealthServer } from './health-server.ts';

async function serving(problems: { live?: string; ready?: string }): Promise<{
  readonly server: HealthServer;
  readonly get: (path: string, method?: string) => Promise<string>;
}> {
  const server = await HealthServer.start({
    host: '127.0.0.1',
    port: 0,
    live: [{ name: 'workers', check: () => problems.live }],
    ready: [
      { name: 'caches', check: () => undefined },
      { name: 'storage', check: () => problems.ready },
    ],
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'up 1\n' }),
  });
  return {
    server,
    get: async (path, method = 'GET') => {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
      return `${response.status} ${await response.text()}`;
    },
  };
}

test('each check is told with what is wrong with it', async () => {
  const problems: { live?: string; ready?: string } = {};
  const { server, get } = await serving(problems);
  expect(await get('/healthz')).toBe('200 [+]workers ok\n');
  expect(await get('/readyz?verbose')).toBe('200 [+]caches ok\n[+]storage ok\n');
  problems.ready = 'does not answer';
  problems.live = 'stuck';
  expect(await get('/readyz')).toBe('503 [+]caches ok\n[-]storage does not answer\n');
  expect(await get('/healthz')).toBe('503 [-]workers stuck\n');
  expect(await get('/metrics')).toBe('200 up 1\n');
  await server[Symbol.asyncDispose]();
});

test('nothing else is served, and a taken port is an error', async () => {
  const { server, get } = await serving({});
  expect(await get('/')).toMatch(/^404/);
  expect(await get('/healthz', 'POST')).toMatch(/^405/);
  const again = HealthServer.start({
    host: '127.0.0.1',
    port: server.port,
    live: [],
    ready: [],
    metrics: async () => ({ contentType: '', body: '' }),
  });
  await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await server[Symbol.asyncDispose]();
});
