import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VerifiedStream } from './verified-stream.ts';

const sumOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** What a reader has seen when the stream ends, and whether it ended well. */
async function through(
  chunks: readonly Buffer[],
  expected: { size: number; sha256: string },
): Promise<{ seen: Buffer; error?: unknown }> {
  const seen: Buffer[] = [];
  try {
    await pipeline(Readable.from(chunks), new VerifiedStream(expected, 'object a'), async (body) => {
      for await (const chunk of body as AsyncIterable<Buffer>) seen.push(chunk);
    });
    return { seen: Buffer.concat(seen) };
  } catch (error) {
    return { seen: Buffer.concat(seen), error };
  }
}

describe('VerifiedStream', () => {
  const chunks = fc.array(
    fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 8 },
  );

  it('passes on exactly the bytes announced, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, async (parts) => {
        const whole = Buffer.concat(parts);
        expect(await through(parts, { size: whole.length, sha256: sumOf(whole) })).toEqual({ seen: whole });
      }),
    );
  });

  it('never lets a reader see a whole object other than the announced one', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, chunks, async (parts, announced) => {
        const [delivered, wanted] = [Buffer.concat(parts), Buffer.concat(announced)];
        fc.pre(!delivered.equals(wanted));
        const { seen, error } = await through(parts, { size: wanted.length, sha256: sumOf(wanted) });
        expect(error).toMatchObject({ code: 'ChecksumMismatch' });
        expect(delivered.length === 0 || seen.length < delivered.length).toBe(true);
        expect(seen.length).toBeLessThanOrEqual(wanted.length);
      }),
    );
  });

  it.each([
    ['abcd', 3, 'more than the announced 3 bytes'],
    ['ab', 3, '2 bytes instead of the announced 3'],
    ['abx', 3, 'SHA-256 '],
  ])('says of %j how it differs', async (text, size, reason) => {
    const { error } = await through([Buffer.from(text)], { size, sha256: sumOf(Buffer.from('abc')) });
    expect(String(error)).toContain(`object a: ${reason}`);
  });
});
