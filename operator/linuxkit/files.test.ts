import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BUILD_TIME } from './constants.ts';
import { planFiles } from './files.ts';
import { parseLinuxKitObject } from './parse.ts';

function listed(files: unknown): readonly string[] {
  const config = parseLinuxKitObject(
    { services: [{ name: 'redis', image: 'redis' }], files },
    { allowSource: true },
  );
  return planFiles(config).map((entry) => {
    const mark = entry.type === 'directory' && entry.implied ? '+' : '';
    return `${entry.type}${mark} ${entry.path} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid}`;
  });
}

describe('kinds and modes', () => {
  test.each([
    [{ path: 'a', contents: '' }, ['file a 600 0:0']],
    [{ path: '/a', contents: 'x', mode: '644' }, ['file a 644 0:0']],
    [{ path: 'a', directory: true }, ['directory a 700 0:0']],
    [{ path: 'a', contents: '', mode: '' }, ['file a 600 0:0']],
    [{ path: 'a', directory: true, mode: '1777' }, ['directory a 1777 0:0']],
    [{ path: 'a', symlink: '../b' }, ['symlink a 600 0:0']],
    [{ path: 'a', source: '~/b', optional: true, mode: '0400' }, ['source a 400 0:0']],
    [{ path: 'a', metadata: 'json' }, ['file a 600 0:0']],
    [{ path: 'a', contents: '', uid: 'redis', gid: 5 }, ['file a 600 100:5']],
    [{ path: 'a//./b', contents: '' }, ['directory+ a 700 0:0', 'file a/b 600 0:0']],
    [{ path: 'a/', directory: true }, ['directory a 700 0:0']],
  ])('%j', (file, entries) => {
    expect(listed([file])).toEqual(entries);
  });
});

describe('directories that an entry calls for', () => {
  test.each([
    ['0644', '755'],
    ['0600', '700'],
    ['0640', '750'],
    ['0400', '500'],
    ['0004', '5'],
    ['0000', '0'],
    ['4755', '4755'],
  ])('of a file with mode %s have mode %s', (mode, folder) => {
    expect(listed([{ path: 'a/f', contents: '', mode }])[0]).toBe(`directory+ a ${folder} 0:0`);
  });

  test('come once, and never after the directory itself', () => {
    expect(
      listed([
        { path: 'a/b/f', contents: '', mode: '0644', uid: 7 },
        { path: 'a/c', directory: true },
        { path: 'a/c/g', contents: '' },
        { path: 'a', directory: true },
      ]),
    ).toEqual([
      'directory+ a 755 7:0',
      'directory+ a/b 755 7:0',
      'file a/b/f 644 7:0',
      'directory a/c 700 0:0',
      'file a/c/g 600 0:0',
      'directory a 700 0:0',
    ]);
  });
});

test('paths stay below the root, each after its directories, whatever is asked for', () => {
  const path = fc
    .array(fc.constantFrom('', '.', '..', '...', 'a', 'b', '..c'), { maxLength: 6 })
    .map((parts) => parts.join('/'));
  fc.assert(
    fc.property(fc.array(path, { minLength: 1, maxLength: 5 }), (paths) => {
      const files = paths.map((name) => ({ path: name, contents: '' }));
      let entries: ReturnType<typeof planFiles>;
      try {
        entries = planFiles(parseLinuxKitObject({ files }, { allowSource: false }));
      } catch {
        expect(paths.some((name) => /^[/.]*$/.test(name) || name.split('/').includes('..'))).toBe(true);
        return;
      }
      const seen = new Set<string>();
      for (const entry of entries) {
        expect(entry.path).toMatch(/^(?!\/)(?!.*\/$)/);
        for (const segment of entry.path.split('/')) expect(['', '.', '..']).not.toContain(segment);
        const parent = entry.path.split('/').slice(0, -1).join('/');
        expect(parent === '' || seen.has(parent)).toBe(true);
        expect(entry.mtime).toBe(BUILD_TIME);
        seen.add(entry.path);
      }
    }),
  );
});
