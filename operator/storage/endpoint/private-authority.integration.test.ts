import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createServer, type Server } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CertificateAuthority } from '../../../e2e/cluster/certificates.ts';
import { startS3 } from '../../../e2e/services/s3.ts';
import { memberKey } from '../layout.ts';
import { type BucketUnderTest, bucketOf } from '../s3/bucket-under-test.ts';
import { createS3Client } from '../s3/client.ts';
import { S3Presigner } from '../s3/presign.ts';
import { S3Store } from '../s3/s3-store.ts';
import { deadline, sha256, sourceOf } from '../store-contract.ts';
import { PresignedStore } from './presigned-store.ts';
import { ArtifactServer } from './server.ts';
import { ArtifactService } from './service.ts';

/** Object storage and endpoint behind certificates of an authority that no system knows. */

let bucket: BucketUnderTest;
let folder: string;
let caBundle: string;
let certificate: { cert: string; key: string };
let front: Server;
let endpoint: string;

beforeAll(async () => {
  bucket = bucketOf(await startS3());
  folder = await mkdtemp(join(tmpdir(), 'private-authority-'));
  const authority = await CertificateAuthority.create(join(folder, 'ca'), 'private', deadline());
  caBundle = await readFile(authority.files.certificate, 'utf8');
  const request = {
    file: 'front',
    commonName: 'front',
    names: ['IP:127.0.0.1'],
    usages: ['serverAuth'],
  } as const;
  const files = await authority.issue(request, deadline());
  certificate = { cert: await readFile(files.certificate, 'utf8'), key: await readFile(files.key, 'utf8') };
  const upstream = Number(new URL(bucket.options.endpoint).port);
  front = createServer(certificate, (client) => {
    const server = connect(upstream, '127.0.0.1');
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
    client.pipe(server).pipe(client);
  });
  await new Promise<void>((resolve) => {
    front.listen(0, '127.0.0.1', resolve);
  });
  endpoint = `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
});

afterAll(async () => {
  front.close();
  await bucket[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

it('S3Store speaks to storage that the given authority vouches for, and to no other', async () => {
  const signal = deadline();
  const trusting = createS3Client({ ...bucket.options, endpoint, caBundle });
  const store = new S3Store(trusting, bucket.options.bucket);
  expect(await store.put('over/tls', sourceOf(Buffer.alloc(3_000_000, 't')), { signal })).toBe('created');
  const strict = createS3Client({ ...bucket.options, endpoint });
  await expect(new S3Store(strict, bucket.options.bucket).head('over/tls', { signal })).rejects.toMatchObject(
    {
      code: 'StorageUnavailable',
      message: expect.stringContaining('certificate') as string,
    },
  );
  trusting.destroy();
  strict.destroy();
});

it('PresignedStore trusts the same authority for the URLs that it is given', async () => {
  const signal = deadline();
  const client = createS3Client({ ...bucket.options, endpoint, caBundle });
  const presigner = new S3Presigner(client, bucket.options.bucket, { seconds: 60 });
  const nowSeconds = () => performance.now() / 1000;
  await using server = new ArtifactServer({
    certificate,
    service: new ArtifactService({ store: bucket.store, presigner, nowSeconds }),
    identify: async () => ({ namespace: 'tenant', image: 'web', podName: 'p', podUid: 'u' }),
    log: { info() {}, warn() {}, error() {} },
  });
  const url = `https://127.0.0.1:${await server.listen(0, '127.0.0.1')}`;
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, 'token');
  await using store = new PresignedStore({ url, caBundle, tokenFile });
  const bytes = Buffer.alloc(3_000_000, 'p');
  const key = memberKey(sha256(bytes));
  expect(await store.put(key, sourceOf(bytes), { signal })).toBe('created');
  expect(sha256(await buffer((await store.get(key, { signal })).body))).toBe(sha256(bytes));
  client.destroy();
});
