import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import tarStream from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { indexLayer, LAYER_LIMITS, type LayerLimits, openLayer } from './layer.ts';
import { openSpool } from './spool.ts';
import { type Descriptor, type Digest, sha256Digest } from './types.ts';

const never = new AbortController().signal;

function digestOf(bytes: Uint8Array): Digest {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}

function describeBlob(bytes: Uint8Array): Descriptor {
  return {
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: digestOf(bytes),
    size: bytes.length,
  };
}

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function uncompress(
  blob: Uint8Array,
  content: Uint8Array,
  {
    size = 1000,
    limits = LAYER_LIMITS,
    signal = never,
  }: { size?: number; limits?: LayerLimits; signal?: AbortSignal } = {},
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of openLayer(
    describeBlob(blob),
    chunked(blob, size),
    digestOf(content),
    signal,
    limits,
  )) {
    parts.push(Uint8Array.from(part));
  }
  return Buffer.concat(parts);
}

const content = Buffer.concat([Buffer.alloc(400_000, 'abc'), Buffer.from('the end')]);
const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);

describe('openLayer', () => {
  it.each([
    ['plain bytes', content],
    ['gzip', gzipSync(content)],
    [
      'two gzip members',
      Buffer.concat([gzipSync(content.subarray(0, 1234)), gzipSync(content.subarray(1234))]),
    ],
    ['zstd', zstdCompressSync(content)],
    [
      'zstd frames, some skippable',
      Buffer.concat([
        skippable,
        zstdCompressSync(content.subarray(0, 300_000)),
        zstdCompressSync(content.subarray(300_000)),
        skippable,
      ]),
    ],
  ])('uncompresses %s however it is cut', async (_, blob) => {
    for (const size of [1, 7, 47, 64, 1000, 1 << 20]) {
      if (blob.length / size > 10_000) continue;
      expect((await uncompress(blob, content, { size })).equals(content)).toBe(true);
    }
  });

  it.each([
    ['gzip that breaks off', gzipSync(content).subarray(0, -3), 'InvalidLayer'],
    ['zstd that breaks off', zstdCompressSync(content).subarray(0, -3), 'InvalidLayer'],
    ['bytes after gzip', Buffer.concat([gzipSync(content), Buffer.alloc(5000)]), 'InvalidLayer'],
    ['bytes after zstd', Buffer.concat([zstdCompressSync(content), Buffer.from('garbage')]), 'InvalidLayer'],
    ['a flipped bit', Buffer.from(gzipSync(content)).fill(0xff, 20, 24), 'InvalidLayer'],
    ['other content', gzipSync('other'), 'DigestMismatch'],
    ['nothing', Buffer.alloc(0), 'DigestMismatch'],
  ])('refuses %s', async (_, blob, code) => {
    for (const size of [5, 1 << 20]) {
      await expect(uncompress(blob, content, { size })).rejects.toMatchObject({
        code,
        message: expect.stringContaining(describeBlob(blob).digest),
      });
    }
  });

  it('stops at a bomb, by its ratio and by its size', async () => {
    const zeros = Buffer.alloc(8 << 20);
    for (const blob of [gzipSync(zeros), zstdCompressSync(zeros)]) {
      const limits = { ...LAYER_LIMITS, expansionFreeBytes: 1 << 20 };
      await expect(uncompress(blob, zeros, { limits })).rejects.toMatchObject({
        code: 'LimitExceeded',
        message: expect.stringContaining('maxExpansionRatio'),
      });
      const small = { ...LAYER_LIMITS, maxTarBytes: 1 << 20 };
      await expect(uncompress(blob, zeros, { limits: small })).rejects.toThrow(/maxTarBytes/);
    }
  });

  it('passes on what its source throws, and closes the source when it is left', async () => {
    let closed = 0;
    async function* failing(error?: Error): AsyncGenerator<Uint8Array> {
      try {
        const blob = gzipSync(content);
        yield blob.subarray(0, 100);
        if (error !== undefined) throw error;
        yield blob.subarray(100);
      } finally {
        closed++;
      }
    }
    const descriptor = describeBlob(gzipSync(content));
    const reset = new Error('reset by peer');
    await expect(async () => {
      for await (const part of openLayer(descriptor, failing(reset), descriptor.digest, never))
        expect(part.length).toBeGreaterThan(0);
    }).rejects.toBe(reset);
    for await (const part of openLayer(descriptor, failing(), descriptor.digest, never))
      if (part.length > 0) break;
    expect(closed).toBe(2);
  });

  it('stops when it is told to', async () => {
    const reason = new Error('enough');
    await expect(uncompress(gzipSync(content), content, { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
  });

  it('ends in its content or a coded error for any damage', async () => {
    const blobs = [gzipSync(content), zstdCompressSync(content)];
    await fc.assert(
      fc.asyncProperty(fc.nat(1), fc.nat(400), fc.integer({ min: 0, max: 255 }), async (which, at, value) => {
        const blob = Buffer.from(blobs[which] ?? []);
        if (at < blob.length) blob[at] = value;
        try {
          expect((await uncompress(blob, content)).equals(content)).toBe(true);
        } catch (error) {
          expect(['InvalidLayer', 'DigestMismatch', 'LimitExceeded']).toContain(
            (error as { code: unknown }).code,
          );
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('indexLayer', () => {
  it('leaves bodies in the spool, at the offsets it notes', async () => {
    const pack = tarStream.pack();
    pack.entry({ name: 'small' }, 'hello');
    pack.entry({ name: 'large' }, Buffer.alloc(700_000, 'xyz'));
    pack.entry({ name: 'empty' }, '');
    pack.finalize();
    const parts: Buffer[] = [];
    for await (const part of pack as AsyncIterable<Buffer>) parts.push(part);
    const archive = Buffer.concat(parts);
    const blob = gzipSync(archive);
    await using spool = await openSpool(tmpdir());
    const layer = await indexLayer(describeBlob(blob), chunked(blob, 100), digestOf(archive), spool, never);
    const read = async (offset: number, length: number): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of spool.read(offset, length)) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    const bodies = [];
    for (const { path, offset, size } of layer.entries)
      bodies.push([path, (await read(offset, size)).toString()]);
    expect(bodies).toEqual([
      ['small', 'hello'],
      ['large', 'xyz'.repeat(700_000 / 3).padEnd(700_000, 'x')],
      ['empty', ''],
    ]);
    // Backwards too: what was read ahead must not be taken for what is asked.
    expect((await read(512, 5)).toString()).toBe('hello');
    await expect(read(spool.size - 1, 2)).rejects.toThrow(RangeError);
  });

  it('uncompresses once, whatever comes out: a bomb in a bomb stays packed', async () => {
    await using spool = await openSpool(tmpdir());
    const inner = gzipSync(gzipSync(Buffer.alloc(8 << 20)));
    const blob = zstdCompressSync(inner);
    await expect(
      indexLayer(describeBlob(blob), chunked(blob, 1000), digestOf(inner), spool, never),
    ).rejects.toMatchObject({ code: 'InvalidTar' });
    expect(spool.size).toBeLessThanOrEqual(inner.length);
  });

  it('fails with the archive it got', async () => {
    await using spool = await openSpool(tmpdir());
    const archive = Buffer.alloc(600, 'x');
    await expect(
      indexLayer(describeBlob(archive), chunked(archive, 100), digestOf(archive), spool, never),
    ).rejects.toMatchObject({ code: 'InvalidTar' });
  });
});
