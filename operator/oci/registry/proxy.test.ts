import {
  createServer as createPlainServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { createAuthority, issueServing } from '../../runtime/certificate.ts';
import { RegistryClient } from '../client.ts';
import { MEDIA_TYPES } from '../manifest.ts';
import { parseReference } from '../reference.ts';
import type { RegistryClientOptions } from './options.ts';
import { proxyFor, proxyFromEnvironment } from './proxy.ts';
import { digestOf } from './test-registry.ts';

const PROXIES = { HTTP_PROXY: 'http://plain.example:3128', HTTPS_PROXY: 'http://tls.example:3128' };

test.each([
  ['https://registry.example/v2/', '', 'tls.example:3128'],
  ['http://registry.example/v2/', '', 'plain.example:3128'],
  ['https://registry.example/v2/', '*', undefined],
  ['https://registry.example/v2/', 'registry.example', undefined],
  ['https://REGISTRY.example./v2/', 'Registry.Example', undefined],
  ['https://a.registry.example/v2/', 'registry.example', undefined],
  ['https://aregistry.example/v2/', 'registry.example', 'tls.example:3128'],
  ['https://registry.example/v2/', '.registry.example', 'tls.example:3128'],
  ['https://a.registry.example/v2/', '.registry.example', undefined],
  ['https://a.registry.example/v2/', '*.registry.example', undefined],
  ['https://registry.example/v2/', 'other.example, registry.example', undefined],
  ['https://registry.example:5000/v2/', 'registry.example:5000', undefined],
  ['https://registry.example/v2/', 'registry.example:5000', 'tls.example:3128'],
  ['https://registry.example/v2/', 'registry.example:443', undefined],
  ['http://registry.example/v2/', 'registry.example:80', undefined],
  ['https://10.1.2.3/v2/', '10.0.0.0/8', undefined],
  ['https://10.1.2.3/v2/', '10.0.0.0/16', 'tls.example:3128'],
  ['https://10.1.2.3/v2/', '10.1.2.3', undefined],
  ['https://10.1.2.3/v2/', '10.0.0.0/99', 'tls.example:3128'],
  ['https://[fd00::7]:5000/v2/', 'fd00::/8', undefined],
  ['https://[fd00::7]:5000/v2/', '[fd00::7]:5000', undefined],
  ['https://[fd00::7]/v2/', '[fd00::7]:5000', 'tls.example:3128'],
  ['https://registry.example/v2/', 'fd00::/8,10.0.0.0/8,.,', 'tls.example:3128'],
  ['https://localhost:5000/v2/', '', undefined],
  ['http://127.0.0.1:5000/v2/', '', undefined],
  ['http://[::1]:5000/v2/', '', undefined],
])('%s with NO_PROXY=%s', (url, none, proxy) => {
  expect(proxyFor(new URL(url), proxyFromEnvironment({ ...PROXIES, NO_PROXY: none }))?.host).toBe(proxy);
});

test('small letters win, an empty value is none, and a scheme may be left out', () => {
  expect(proxyFromEnvironment({})).toEqual({ exempt: [] });
  const settings = proxyFromEnvironment({ ...PROXIES, http_proxy: 'small.example:8080', https_proxy: '' });
  expect(settings.http?.href).toBe('http://small.example:8080/');
  expect(settings.https).toBeUndefined();
});

test.each(['socks5://user:secret@proxy', 'http://', 'user:secret@:x'])('%s is no proxy', (text) => {
  expect(() => proxyFromEnvironment({ HTTPS_PROXY: text })).toThrow(
    expect.objectContaining({ code: 'InvalidProxy', message: expect.not.stringContaining('secret') }),
  );
});

describe('by way of a proxy', () => {
  const never = new AbortController().signal;
  const validity = { from: Date.now() - 60_000, to: Date.now() + 3_600_000 };
  const authority = createAuthority('registry authority', validity);
  const manifest = Buffer.from('{"schemaVersion":2,"manifests":[]}');
  const retry = { attempts: 1, firstDelay: 0, maxDelay: 0, maxRetryAfter: 0 };

  let plain: Server;
  let secure: Server;
  let proxy: Server;
  let asked: string[];
  let refuses: boolean;

  beforeEach(async () => {
    const serve = (_: IncomingMessage, response: ServerResponse): void => {
      response.writeHead(200, { 'content-type': MEDIA_TYPES.ociIndex }).end(manifest);
    };
    const { certificate, key } = issueServing(authority, ['registry.example'], validity);
    plain = createPlainServer(serve);
    secure = createServer({ cert: certificate, key }, serve);
    asked = [];
    refuses = false;
    // Knows names that nobody else knows: whatever it is asked for, it leads to the servers here.
    proxy = createPlainServer((incoming, response) => {
      asked.push(
        `${incoming.method} ${incoming.url} ${incoming.headers['proxy-authorization'] ?? ''}`.trim(),
      );
      const path = new URL(incoming.url ?? '').pathname;
      request({ port: portOf(plain), path }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      }).end();
    });
    proxy.on('connect', (incoming: IncomingMessage, socket: Socket) => {
      asked.push(`CONNECT ${incoming.url} ${incoming.headers['proxy-authorization'] ?? ''}`.trim());
      if (refuses) {
        socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
        return;
      }
      const upstream = connect(portOf(secure), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
    for (const server of [plain, secure, proxy])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    for (const server of [proxy, secure, plain]) {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });

  function portOf(server: Server): number {
    return (server.address() as AddressInfo).port;
  }

  const settings = (credentials = '') => {
    const url = `http://${credentials}127.0.0.1:${portOf(proxy)}`;
    return proxyFromEnvironment({ HTTP_PROXY: url, HTTPS_PROXY: url });
  };

  async function fetchIndex(options: RegistryClientOptions): Promise<unknown> {
    await using client = new RegistryClient({ retry, ...options });
    return await client.fetchDocument(parseReference('registry.example/team/app'), never);
  }

  it.each(['registry.example', '*'])(
    'TLS is spoken with the registry itself, by the authority of %s',
    async (name) => {
      const certificateAuthorities = new Map([[name, authority.certificate]]);
      expect(await fetchIndex({ certificateAuthorities, proxy: settings() })).toMatchObject({
        digest: digestOf(manifest),
      });
      expect(asked).toEqual(['CONNECT registry.example:443']);
    },
  );

  it('a registry is not believed for the proxy in between', async () => {
    await expect(fetchIndex({ proxy: settings() })).rejects.toMatchObject({ code: 'RegistryUnreachable' });
  });

  it('plain HTTP is passed on where it is allowed', async () => {
    const found = await fetchIndex({
      insecureRegistries: ['registry.example'],
      proxy: settings('me:secret@'),
    });
    expect(found).toMatchObject({ digest: digestOf(manifest) });
    const authorization = `Basic ${Buffer.from('me:secret').toString('base64')}`;
    expect(asked).toEqual([`GET http://registry.example/v2/team/app/manifests/latest ${authorization}`]);
  });

  it('a proxy that refuses is told of, without its password', async () => {
    refuses = true;
    await expect(fetchIndex({ proxy: settings('me:secret@') })).rejects.toMatchObject({
      code: 'RegistryUnreachable',
      message: expect.stringMatching(/^(?!.*secret).*registry\.example.*Proxy response \(403\)/),
    });
  });
});
