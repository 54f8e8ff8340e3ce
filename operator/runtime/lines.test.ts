import { array, assert, asyncProperty, infiniteStream, integer, string } from 'fast-check';
import { expect, test } from 'vitest';
import { lines } from './lines.ts';

async function split(chunks: readonly Uint8Array[], limit = 1000): Promise<string[]> {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }
  const found: string[] = [];
  for await (const line of lines(source(), limit)) found.push(line);
  return found;
}

test('lines come out whole, however their bytes were cut', async () => {
  await assert(
    asyncProperty(
      array(string({ unit: 'grapheme' })),
      infiniteStream(integer({ min: 1, max: 7 })),
      async (texts, sizes) => {
        const wanted = texts.map((text) => text.replaceAll('\n', ' ')).filter((text) => text !== '');
        const bytes = Buffer.from(wanted.map((text) => `${text}\n`).join(''), 'utf8');
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; ) {
          const size = sizes.next().value as number;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(await split(chunks)).toEqual(wanted);
      },
    ),
  );
});

test('a last line that never ended is left out, and empty ones are', async () => {
  expect(await split([Buffer.from('a\n\nb\nhalf')])).toEqual(['a', 'b']);
});

test.each([
  ['one chunk', ['x'.repeat(11)]],
  ['several', ['xxxxxx', 'xxxxxx']],
  ['one that ends', [`${'x'.repeat(11)}\n`]],
])('a line beyond the limit is refused: %s', async (_, chunks) => {
  await expect(
    split(
      chunks.map((chunk) => Buffer.from(chunk)),
      10,
    ),
  ).rejects.toMatchObject({ code: 'InvalidAnswer' });
});
