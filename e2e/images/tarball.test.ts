import { spawnSync } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { array, assert, asyncProperty, string, stringMatching } from 'fast-check';
import { extract, type Header } from 'tar-stream';
import { describe, expect, test } from 'vitest';

import { directory, type Entry, file, symlink, withParents } from './entry.ts';
import { tarball } from './tarball.ts';

/** What an independent reader makes of it. */
async function readBack(entries: readonly Entry[]): Promise<readonly (Header & { body: string })[]> {
  const reader = extract();
  reader.end(await buffer(tarball(entries)));
  const seen: (Header & { body: string })[] = [];
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(Buffer.from(chunk as Uint8Array));
    seen.push({ ...entry.header, body: Buffer.concat(chunks).toString() });
  }
  return seen;
}

describe('tarball', () => {
  test('carries names, targets and contents of any length', async () => {
    const name = array(stringMatching(/^[a-zäß0-9_-]{1,60}$/), { minLength: 1, maxLength: 8 }).map((parts) =>
      parts.join('/'),
    );
    await assert(
      asyncProperty(name, name, string({ maxLength: 2000 }), async (path, target, text) => {
        const seen = await readBack([file(path, text), symlink(`${path}.link`, target)]);
        expect(seen.map((entry) => [entry.name, entry.type, entry.linkname, entry.body])).toEqual([
          [path, 'file', null, Buffer.from(text).toString()],
          [`${path}.link`, 'symlink', target, ''],
        ]);
      }),
      { numRuns: 60 },
    );
  });

  test('carries owners, modes, times, devices and hard links', async () => {
    const seen = await readBack([
      { type: 'file', path: 'a', content: 'x', mode: 0, uid: 70_000, gid: 7, mtime: 5 },
      { type: 'hardlink', path: 'b', target: 'a' },
      { type: 'character', path: 'c', major: 5, minor: 1, mode: 0o600 },
    ]);
    expect(seen).toMatchObject([
      { name: 'a', mode: 0, uid: 70_000, gid: 7, mtime: new Date(5000), body: 'x' },
      { name: 'b', type: 'link', linkname: 'a' },
      { name: 'c', type: 'character-device', devmajor: 5, devminor: 1, mode: 0o600 },
    ]);
  });

  test('is a tar that the system tar takes', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(90)}`;
    const input = await buffer(
      tarball(withParents([file(long, 'deep'), { ...symlink('l', 'm'), uid: 3_000_000 }])),
    );
    const listed = spawnSync('tar', ['--numeric-owner', '-tvf', '-'], { input, encoding: 'utf8' });
    expect(listed.stderr).toBe('');
    expect(listed.stdout).toContain(` ${long}\n`);
    expect(listed.stdout).toMatch(/^lrwxrwxrwx 3000000\/0 .* l -> m$/m);
  });

  test('refuses a content of another size than announced', async () => {
    const entry: Entry = {
      type: 'file',
      path: 'x',
      content: {
        size: 3,
        async *stream() {
          yield Buffer.from('four');
        },
      },
    };
    await expect(buffer(tarball([entry]))).rejects.toMatchObject({ code: 'InvalidEntry' });
  });
});

describe('withParents', () => {
  test('puts each missing parent once, before its child', () => {
    const paths = withParents([file('a/b/c', ''), file('a/d', ''), directory('a/b', 0o700)]).map(
      (e) => e.path,
    );
    expect(paths).toEqual(['a', 'a/b', 'a/b/c', 'a/d']);
  });

  test.each(['/a', 'a//b', './a', 'a/../b', ''])('refuses %j', (path) => {
    expect(() => withParents([file(path, '')])).toThrow(/plain relative path/);
  });
});
