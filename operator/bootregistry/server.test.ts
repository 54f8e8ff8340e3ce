import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FolderStore } from '../storage/folder/folder-store.ts';
import { type ReadOptions, StorageError } from '../storage/store.ts';
import { deadline } from '../storage/store-contract.ts';
import { type ArtifactUnderTest, makeArtifact, storeArtifact } from './artifact-under-test.ts';
import { ImageIndex } from './image-index.ts';
import { BootRegistry, type ObservedRequest } from './server.ts';

const web = { namespace: 'tenant', image: 'web' };

let root: string;
let store: FolderStore;
let artifact: ArtifactUnderTest;
let registry: BootRegistry;
let port: number;
let logged: { level: string; message: string }[];
let observed: ObservedRequest[];
let corrupt: number;
/** What happens when an object is opened, instead of the store's own answer. */
let intercept: ((key: string, options: ReadOptions) => ReturnType<FolderStore['get']>) | undefined;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'boot-registry-'));
  store = new FolderStore(root);
  artifact = await makeArtifact(Buffer.alloc(100_001, 'kernel '), Buffer.alloc(300_000, 'initrd '));
  await storeArtifact(store, web, artifact, deadline());
  const reader = {
    head: store.head.bind(store),
    list: store.list.bind(store),
    get: (key: string, options: ReadOptions) => (intercept ?? store.get.bind(store))(key, options),
  };
  const at = (level: string) => (message: string, fields?: object) =>
    void logged.push({ level, message: `${message} ${JSON.stringify(fields)}` });
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  registry = new BootRegistry({
    index: new ImageIndex(reader, { now: () => performance.now(), log }),
    store: reader,
    log,
    observe: (request) => void observed.push(request),
    corrupt: () => {
      corrupt += 1;
    },
  });
  port = await registry.listen(0, '127.0.0.1');
  [logged, observed, corrupt] = [[], [], 0];
  // Read once, so that what tests do to objects meets an index that knows them.
  await fetch(`http://127.0.0.1:${port}/v2/tenant/web/manifests/${artifact.record.bootImage.digest}`);
});

beforeEach(() => {
  [logged, observed, corrupt, intercept] = [[], [], 0, undefined];
});

afterAll(async () => {
  await registry.close();
  await rm(root, { recursive: true });
});

const url = (path: string) => `http://127.0.0.1:${port}/v2/${path}`;
const ask = (path: string, init: { method?: string; headers?: Record<string, string> } = {}) =>
  fetch(url(path), { ...init, signal: deadline() });
const layerPath = (file: 'kernel' | 'initrd.img') =>
  `tenant/web/blobs/${artifact.record.bootImage.layers.find((layer) => layer.file === file)?.digest}`;
const manifestPath = () => `tenant/web/manifests/${artifact.record.bootImage.digest}`;
const sum = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

/** Sends what is not HTTP and returns everything that comes back. */
async function raw(bytes: Buffer | string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
  socket.write(bytes);
  return (await buffer(socket)).toString('latin1');
}

/** What a TLS client sends first. */
async function clientHello(): Promise<Buffer> {
  const hello = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => {
    socket.once('data', (chunk) => {
      hello.resolve(chunk);
      socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  client.on('error', () => {});
  const bytes = await hello.promise;
  server.close();
  return bytes;
}

describe('a boot registry', () => {
  it('says that it is a registry', async () => {
    const answer = await ask('');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
  });

  it('serves the manifest under its own media type, to GET and HEAD alike', async () => {
    const { manifest, digest } = artifact.record.bootImage;
    const answer = await ask(manifestPath());
    expect(answer.headers.get('content-type')).toBe('application/vnd.oci.image.manifest.v1+json');
    expect(answer.headers.get('docker-content-digest')).toBe(digest);
    expect(await answer.text()).toBe(manifest);
    const head = await ask(manifestPath(), { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(head.headers.get('content-length')).toBe(String(manifest.length));
    expect(await head.text()).toBe('');
  });

  it('serves the configuration, and each layer with the digest that the manifest names', async () => {
    const { manifest, config } = artifact.record.bootImage;
    const named = JSON.parse(manifest) as {
      config: { digest: string };
      layers: { digest: string; size: number }[];
    };
    expect(await (await ask(`tenant/web/blobs/${named.config.digest}`)).text()).toBe(config);
    for (const { digest, size } of named.layers) {
      const answer = await ask(`tenant/web/blobs/${digest}`);
      expect(answer.headers.get('content-length')).toBe(String(size));
      expect(sum(await bytesOf(answer))).toBe(digest);
    }
    expect(observed.map(({ bytes }) => bytes)).toEqual([
      config.length,
      ...named.layers.map(({ size }) => size),
    ]);
  });

  it("serves an artifact's SBOM, provenance and record by their digests, as they are stored", async () => {
    const { files } = artifact;
    const record = Buffer.from(JSON.stringify(artifact.record));
    for (const bytes of [files['sbom.spdx.json'], files['provenance.json'], record]) {
      const answer = await ask(`tenant/web/blobs/${sum(bytes)}`);
      expect(answer.status).toBe(200);
      expect(await bytesOf(answer)).toEqual(bytes);
      const part = await ask(`tenant/web/blobs/${sum(bytes)}`, { headers: { range: 'bytes=1-2' } });
      expect(await bytesOf(part)).toEqual(bytes.subarray(1, 3));
    }
    // Of kernel and initrd nothing but the layers is given out.
    expect((await ask(`tenant/web/blobs/${sum(files.kernel)}`)).status).toBe(404);
  });

  it('serves any range of a layer', async () => {
    const layer = artifact.layers.kernel;
    const position = fc.nat(layer.length - 1);
    await fc.assert(
      fc.asyncProperty(position, position, async (one, other) => {
        const [first, last] = [Math.min(one, other), Math.max(one, other)];
        const answer = await ask(layerPath('kernel'), { headers: { range: `bytes=${first}-${last}` } });
        expect(answer.status).toBe(206);
        expect(answer.headers.get('content-range')).toBe(`bytes ${first}-${last}/${layer.length}`);
        expect(Buffer.compare(await bytesOf(answer), layer.subarray(first, last + 1))).toBe(0);
      }),
      {
        numRuns: 60,
        examples: [
          [0, 511],
          [511, 512],
          [512, 512],
          [100_512, 100_513],
          [0, layer.length - 1],
        ],
      },
    );
  });

  it('resumes as containerd does, from a byte to the end', async () => {
    const layer = artifact.layers['initrd.img'];
    const answer = await ask(layerPath('initrd.img'), { headers: { range: 'bytes=200000-' } });
    expect(answer.status).toBe(206);
    expect(Buffer.compare(await bytesOf(answer), layer.subarray(200_000))).toBe(0);
  });

  it('answers a range beyond the end with 416, and sends everything to an If-Range it does not know', async () => {
    const size = artifact.layers.kernel.length;
    const beyond = await ask(layerPath('kernel'), { headers: { range: `bytes=${size}-` } });
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get('content-range')).toBe(`bytes */${size}`);
    const unknown = await ask(layerPath('kernel'), {
      headers: { range: 'bytes=0-1', 'if-range': '"other"' },
    });
    expect(unknown.status).toBe(200);
    expect(await bytesOf(unknown)).toHaveLength(size);
  });

  it.each([
    [
      'manifests of another image',
      () => `tenant/db/manifests/${artifact.record.bootImage.digest}`,
      404,
      'MANIFEST_UNKNOWN',
    ],
    [
      'manifests of another namespace',
      () => `other/web/manifests/${artifact.record.bootImage.digest}`,
      404,
      'MANIFEST_UNKNOWN',
    ],
    [
      'blobs under manifests',
      () => layerPath('kernel').replace('blobs', 'manifests'),
      404,
      'MANIFEST_UNKNOWN',
    ],
    ['manifests under blobs', () => manifestPath().replace('manifests', 'blobs'), 404, 'BLOB_UNKNOWN'],
    ['tags', () => 'tenant/web/manifests/latest', 404, 'MANIFEST_UNKNOWN'],
    ['the list of tags', () => 'tenant/web/tags/list', 404, 'NAME_UNKNOWN'],
    ['the cache', () => `tenant/_cache/blobs/${artifact.record.digest}`, 400, 'NAME_INVALID'],
  ])('does not serve %s', async (_, path, status, code) => {
    const answer = await ask(path());
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ errors: [{ code }] });
  });

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('refuses %s', async (method) => {
    const answer = await ask(manifestPath(), { method });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET, HEAD');
  });
});

describe('a client that begins with TLS, as containerd does with every pull', () => {
  it('is answered in HTTP, and nothing is logged', async () => {
    const answer = await raw(await clientHello());
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n.*\r\n\r\n$/s);
    expect(logged).toEqual([]);
  });

  it('sees the whole answer every time, not a reset connection', async () => {
    const hello = await clientHello();
    for (let round = 0; round < 20; round += 1) expect(await raw(hello)).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('is told apart from other nonsense', async () => {
    expect(await raw('\0\0\0 nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(logged).toMatchObject([
      { level: 'debug', message: expect.stringContaining('does not speak HTTP') as string },
    ]);
  });
});

describe('when something goes wrong', () => {
  it('does not mix an answer to nonsense into the answer before it', async () => {
    const answer = await raw(
      `GET /v2/${layerPath('initrd.img')} HTTP/1.1\r\nHost: x\r\n\r\n\0nonsense\r\n\r\n`,
    );
    expect(answer).not.toContain('400 Bad Request');
  });

  it('answers 503 while storage is away, and serves again after it', async () => {
    intercept = async () => {
      throw new StorageError('StorageUnavailable', 'connect ECONNREFUSED');
    };
    const answer = await ask(layerPath('kernel'));
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(answer.headers.get('docker-content-digest')).toBeNull();
    expect(await answer.json()).toMatchObject({ errors: [{ code: 'UNAVAILABLE' }] });
    intercept = undefined;
    expect((await bytesOf(await ask(layerPath('kernel')))).length).toBe(artifact.layers.kernel.length);
  });

  it('cuts a layer that does not have its digest, before its end, and says so', async () => {
    intercept = async (key, options) => {
      const { info } = await store.get(key, options);
      return { info, body: Readable.from([Buffer.alloc(100_001, 'other bytes')]) };
    };
    await expect(ask(layerPath('kernel')).then(bytesOf)).rejects.toThrow();
    expect(corrupt).toBe(1);
    expect(logged).toMatchObject([
      { level: 'error', message: expect.stringContaining('instead of the announced') as string },
    ]);
    expect(observed).toMatchObject([{ complete: false, status: 200 }]);
  });

  it('cuts a layer whose object ends early', async () => {
    intercept = async (key, options) => {
      const { info } = await store.get(key, options);
      const failing = async function* () {
        yield Buffer.alloc(50_000);
        throw new StorageError('StorageUnavailable', 'socket hang up');
      };
      return { info, body: Readable.from(failing()) };
    };
    await expect(ask(layerPath('kernel')).then(bytesOf)).rejects.toThrow();
    expect(logged).toMatchObject([
      { level: 'warn', message: expect.stringContaining('socket hang up') as string },
    ]);
  });

  it('does not serve an object that was put in the place of another', async () => {
    intercept = async (key, options) => {
      const { info, body } = await store.get(key, options);
      return { info: { ...info, sha256: '0'.repeat(64) }, body };
    };
    expect((await ask(layerPath('kernel'))).status).toBe(500);
    expect(logged).toMatchObject([
      { level: 'error', message: expect.stringContaining('not the one that its record') as string },
    ]);
  });

  it('waits for no connection on which nothing was asked when it closes', async () => {
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const index = new ImageIndex(store, { now: () => performance.now(), log });
    const other = new BootRegistry({ index, store, log });
    const socket = connect(await other.listen(0, '127.0.0.1'), '127.0.0.1');
    await once(socket, 'connect');
    const ended = new Promise((resolve) => {
      socket.once('close', resolve);
    });
    socket.on('error', () => {});
    socket.resume();
    await other.close();
    await ended;
    expect(socket.destroyed).toBe(true);
  }, 4_000);

  it('stops reading from storage when the client goes away', async () => {
    const opened = Promise.withResolvers<Readable>();
    intercept = async (key, options) => {
      const { info } = await store.get(key, options);
      // Two chunks, and then nothing for ever: the connection's end is the only one there is.
      const body = new Readable({ read() {} });
      body.push(Buffer.alloc(1000));
      body.push(Buffer.alloc(1000));
      opened.resolve(body);
      return { info, body };
    };
    const request = get(url(layerPath('kernel')));
    request.on('error', () => {});
    const [answer] = (await once(request, 'response')) as [Readable];
    const body = await opened.promise;
    const closed = new Promise((resolve) => {
      body.once('close', resolve);
    });
    answer.destroy();
    await closed;
    expect(body.destroyed).toBe(true);
  });

  it('reads no further than the client does', async () => {
    let produced = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const big = await makeArtifact(Buffer.from('k'), Buffer.alloc(32 * 1024 * 1024));
    await storeArtifact(store, { namespace: 'tenant', image: 'big' }, big, deadline());
    const [, initrd] = big.record.bootImage.layers;
    await (await ask(`tenant/big/manifests/${big.record.bootImage.digest}`)).arrayBuffer();
    intercept = async (key, options) => {
      const { info } = await store.get(key, options);
      const body = async function* () {
        for (; produced < info.size; produced += chunk.length) yield chunk;
      };
      return { info, body: Readable.from(body(), { objectMode: false }) };
    };
    const request = get(url(`tenant/big/blobs/${initrd?.digest}`));
    const [answer] = (await once(request, 'response')) as [Readable];
    let before = -1;
    while (produced !== before) {
      before = produced;
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
    }
    expect(produced).toBeLessThan(24 * 1024 * 1024);
    expect((await buffer(answer)).length).toBe(initrd?.size);
  });
});
