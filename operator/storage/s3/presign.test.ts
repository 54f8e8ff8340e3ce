import { describe, expect, it } from 'vitest';
import { createS3Client } from './client.ts';
import { S3Presigner } from './presign.ts';

const client = createS3Client({
  endpoint: 'https://s3.example.org',
  region: 'us-east-1',
  bucket: 'linuxkit',
  forcePathStyle: true,
  credentials: { accessKeyId: 'id', secretAccessKey: 'a-secret' },
});
const presigner = new S3Presigner(client, 'linuxkit', { seconds: 600 });
const sha256 = 'ab'.repeat(32);

describe('S3Presigner', () => {
  it('binds an upload to one key, its size, its checksum and the key being free', async () => {
    const { url, headers } = await presigner.upload('tenant/web/kernel', { size: 0, sha256 });
    const { pathname, searchParams } = new URL(url);
    expect(pathname).toBe('/linuxkit/tenant/web/kernel');
    expect(searchParams.get('X-Amz-SignedHeaders')).toBe(
      'content-length;host;if-none-match;x-amz-checksum-sha256',
    );
    expect(searchParams.get('X-Amz-Expires')).toBe('600');
    expect(headers).toEqual({
      'content-length': '0',
      'if-none-match': '*',
      'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64'),
    });
  });

  it('gives out different signatures for different bytes', async () => {
    const signature = async (size: number, sum: string) =>
      new URL((await presigner.upload('a', { size, sha256: sum })).url).searchParams.get('X-Amz-Signature');
    const all = await Promise.all([
      signature(1, sha256),
      signature(2, sha256),
      signature(1, 'cd'.repeat(32)),
    ]);
    expect(new Set(all).size).toBe(3);
  });

  it('never shows the secret', async () => {
    const given = await Promise.all([presigner.upload('a', { size: 1, sha256 }), presigner.download('a')]);
    expect(JSON.stringify(given)).not.toContain('a-secret');
  });

  it('signs for nothing that is no key', async () => {
    await expect(presigner.download('../other')).rejects.toMatchObject({ code: 'InvalidKey' });
    await expect(presigner.upload('a?acl', { size: 1, sha256 })).rejects.toMatchObject({
      code: 'InvalidKey',
    });
  });
});
