import { createHash } from 'node:crypto';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { startRegistry } from './registry.ts';
import { startS3 } from './s3.ts';

test('the S3 server keeps an object, and refuses one whose checksum differs', async () => {
  const s3 = await startS3();
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: s3.region,
    forcePathStyle: true,
    credentials: { accessKeyId: s3.accessKey, secretAccessKey: s3.secretKey },
  });
  try {
    const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64');
    const put = async (body: string, checksum: string): Promise<unknown> =>
      await client.send(
        new PutObjectCommand({ Bucket: s3.bucket, Key: 'a/b', Body: body, ChecksumSHA256: checksum }),
      );
    await put('content', sha256('content'));
    await expect(put('other', sha256('content'))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 400 },
    });
    const got = await client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: 'a/b' }));
    expect(await got.Body?.transformToString()).toBe('content');
  } finally {
    client.destroy();
    await s3.stop();
  }
  await expect(fetch(`${s3.endpoint}/health`)).rejects.toThrow('fetch failed');
});

test.each([false, true])('the registry takes a blob (authentication: %s)', async (authentication) => {
  const registry = await startRegistry({ authentication });
  try {
    const given = registry.credentials;
    expect(given !== undefined).toBe(authentication);
    const headers: Record<string, string> =
      given === undefined
        ? {}
        : { authorization: `Basic ${Buffer.from(`${given.username}:${given.password}`).toString('base64')}` };
    expect((await fetch(`http://${registry.host}/v2/`)).status).toBe(authentication ? 401 : 200);
    const upload = await fetch(`http://${registry.host}/v2/some/image/blobs/uploads/`, {
      method: 'POST',
      headers,
    });
    expect(upload.status).toBe(202);
    const blob = 'a blob';
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
    const target = new URL(upload.headers.get('location') ?? '');
    target.searchParams.set('digest', digest);
    const stored = await fetch(target, { method: 'PUT', body: blob, headers });
    expect(stored.status).toBe(201);
    const got = await fetch(`http://${registry.host}/v2/some/image/blobs/${digest}`, { headers });
    expect(await got.text()).toBe(blob);
  } finally {
    await registry.stop();
  }
});
