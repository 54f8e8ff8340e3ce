import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startS3 } from '../../../e2e/services/s3.ts';
import { deadline, describeStoreContract, listed, sha256, sourceOf } from '../store-contract.ts';
import { ensureBucket, probeBucket } from './bucket.ts';
import { type BucketUnderTest, bucketOf } from './bucket-under-test.ts';
import { createS3Client } from './client.ts';
import { S3Store } from './s3-store.ts';

let bucket: BucketUnderTest;

beforeAll(async () => {
  bucket = bucketOf(await startS3());
});

afterAll(async () => {
  await bucket[Symbol.asyncDispose]();
});

describeStoreContract('S3Store', { open: async () => bucket.store, runs: 20 });

describe('S3Store', () => {
  const signal = deadline(100_000);

  it('lists more objects than one page holds, and removes more than one request may name', async () => {
    const keys = Array.from({ length: 1100 }, (_, index) => `many/${String(index).padStart(4, '0')}`);
    const pending = [...keys];
    const worker = async () => {
      for (let key = pending.pop(); key !== undefined; key = pending.pop()) {
        await bucket.client.send(
          new PutObjectCommand({ Bucket: bucket.options.bucket, Key: key, Body: 'x' }),
        );
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    expect((await listed(bucket.store, 'many/')).map(({ key }) => key)).toEqual(keys);
    await bucket.store.delete(keys, { signal });
    expect(await listed(bucket.store, 'many/')).toEqual([]);
  });

  it('does not trust an object that was stored without a checksum', async () => {
    await bucket.client.send(
      new PutObjectCommand({ Bucket: bucket.options.bucket, Key: 'bare', Body: 'bytes' }),
    );
    const info = await bucket.store.head('bare', { signal });
    expect(info).toMatchObject({ size: 5 });
    expect(info?.sha256).toBeUndefined();
    await expect(bucket.store.put('bare', sourceOf(Buffer.from('bytes')), { signal })).rejects.toMatchObject({
      code: 'ObjectConflict',
    });
  });

  it('makes its bucket once, whoever comes first', async () => {
    const fresh = { ...bucket.options, bucket: 'made-by-test' };
    const outcomes = await Promise.all([1, 2].map(() => ensureBucket(bucket.client, fresh, { signal })));
    expect(outcomes).toContain('created');
    expect(await ensureBucket(bucket.client, fresh, { signal })).toBe('exists');
    await probeBucket(bucket.client, 'made-by-test', { signal });
    await expect(probeBucket(bucket.client, 'never-made', { signal })).rejects.toMatchObject({
      code: 'StorageUnavailable',
    });
  });

  it.each([
    ['an unknown access key', { accessKeyId: 'nobody', secretAccessKey: 'not-to-be-shown' }],
    ['a wrong secret', { secretAccessKey: 'wrong-secret' }],
  ])('reports %s as denied, without showing it', async (_, wrong) => {
    const credentials = { accessKeyId: bucket.options.credentials?.accessKeyId ?? '', ...wrong };
    const options = { ...bucket.options, bucket: 'not-mine', credentials };
    const client = createS3Client(options);
    const denied = await ensureBucket(client, options, { signal }).catch((error: unknown) => error);
    expect(denied).toMatchObject({ code: 'StorageDenied' });
    expect(String(denied)).not.toContain(credentials.secretAccessKey);
    client.destroy();
  });
});

describe('S3Store when the server fails', () => {
  const signal = deadline(60_000);

  /** A server that does what a real one cannot be made to do at will. */
  async function against(
    answer: Parameters<typeof createServer>[1],
  ): Promise<AsyncDisposable & { store: S3Store }> {
    const server = createServer({}, answer);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    const client = createS3Client(
      { ...bucket.options, endpoint: `http://127.0.0.1:${port}` },
      { idleTimeoutMs: 300 },
    );
    return {
      store: new S3Store(client, 'linuxkit'),
      async [Symbol.asyncDispose]() {
        client.destroy();
        server.closeAllConnections();
        await new Promise((resolve) => {
          server.close(resolve);
        });
      },
    };
  }

  it('sends an upload again after a 503, from the start', async () => {
    const bytes = Buffer.alloc(300_000, 'again');
    const received: string[] = [];
    await using server = await against((request, response) => {
      if (request.method === 'HEAD') {
        response.writeHead(404).end();
        return;
      }
      const hash = createHash('sha256');
      request.on('data', (chunk: Buffer) => hash.update(chunk));
      request.on('end', () => {
        received.push(hash.digest('hex'));
        response.writeHead(received.length === 1 ? 503 : 200).end();
      });
    });
    const source = sourceOf(bytes);
    expect(await server.store.put('a', source, { signal })).toBe('created');
    expect(received).toEqual([sha256(bytes), sha256(bytes)]);
    expect(source.opened).toBe(2);
  });

  it('gives up after a bounded number of attempts', async () => {
    let uploads = 0;
    await using server = await against((request, response) => {
      if (request.method === 'PUT') uploads += 1;
      response.writeHead(request.method === 'HEAD' ? 404 : 500).end();
      request.resume();
    });
    await expect(server.store.put('a', sourceOf(Buffer.from('x')), { signal })).rejects.toMatchObject({
      code: 'StorageUnavailable',
    });
    expect(uploads).toBe(3);
  });

  it('fails at the end of a body that is cut short, and of one that is not what its checksum says', async () => {
    const good = Buffer.from('good');
    const checksum = createHash('sha256').update(good).digest('base64');
    await using server = await against((request, response) => {
      response.writeHead(200, { 'content-length': '4', 'x-amz-checksum-sha256': checksum });
      if (request.url?.startsWith('/linuxkit/cut') === true) response.write('go', () => response.destroy());
      else response.end('evil');
    });
    const read = async (key: string) => {
      const { body } = await server.store.get(key, { signal });
      return body.toArray();
    };
    await expect(read('cut')).rejects.toMatchObject({ code: 'StorageUnavailable' });
    await expect(read('evil')).rejects.toMatchObject({ code: 'ChecksumMismatch' });
  });

  it.each([
    ['an answer that never comes', 'silent'],
    ['a body that stops in the middle', 'stalling'],
  ])('does not wait for ever for %s', async (_, key) => {
    await using server = await against((request, response) => {
      if (request.url?.startsWith('/linuxkit/stalling') !== true) return;
      response.writeHead(200, { 'content-length': '1000' });
      response.write('some of it');
    });
    const reading = server.store.get(key, { signal }).then(({ body }) => body.toArray());
    await expect(reading).rejects.toMatchObject({ code: 'StorageUnavailable' });
  });

  it('does not wait for ever for an upload that nobody reads', async () => {
    await using server = await against((request, response) => {
      if (request.method === 'HEAD') response.writeHead(404).end();
      else request.pause();
    });
    const upload = server.store.put('a', sourceOf(Buffer.alloc(30_000_000)), { signal });
    await expect(upload).rejects.toMatchObject({ code: 'StorageUnavailable' });
  });

  it('says that nothing listens', async () => {
    const client = createS3Client({ ...bucket.options, endpoint: 'http://127.0.0.1:1' });
    await expect(new S3Store(client, 'linuxkit').head('a', { signal })).rejects.toMatchObject({
      code: 'StorageUnavailable',
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
    client.destroy();
  });
});
