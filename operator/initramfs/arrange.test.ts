import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrange, representableTime } from './arrange.ts';
import type { Entry, Metadata } from './entry.ts';
import { InitramfsError, type InitramfsErrorCode } from './error.ts';

const META: Metadata = { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
const directory = (path: string): Entry => ({ type: 'directory', path, ...META });
const file = (path: string, size = 0): Entry => ({
  type: 'file',
  path,
  ...META,
  size,
  content: [new Uint8Array(size)],
});
const symlink = (path: string, target: string): Entry => ({ type: 'symlink', path, ...META, target });
const link = (path: string, target: string): Entry => ({ type: 'link', path, target });

const deep = Array.from({ length: 20 }, (_, index) => `${index}`.padStart(250, 'x'));

describe('arrange refuses what the kernel would lose', () => {
  const refused: [string, InitramfsErrorCode, Entry[]][] = [
    ['an absolute path', 'InvalidPath', [directory('/etc')]],
    ['an empty path', 'InvalidPath', [directory('')]],
    ['a doubled slash', 'InvalidPath', [directory('a'), file('a//b')]],
    ['a path out of the root', 'InvalidPath', [file('../x')]],
    ['a dot', 'InvalidPath', [file('./x')]],
    ['a trailing slash', 'InvalidPath', [directory('a/')]],
    ['the name of the end mark', 'InvalidPath', [file('TRAILER!!!')]],
    ['a NUL', 'InvalidPath', [file('a\0b')]],
    ['a part beyond NAME_MAX', 'InvalidPath', [file('n'.repeat(256))]],
    ['a part beyond NAME_MAX in bytes, not in characters', 'InvalidPath', [file('é'.repeat(128))]],
    ['a path beyond PATH_MAX', 'InvalidPath', [file(deep.join('/'))]],
    ['a path given twice', 'DuplicatePath', [directory('a'), file('a')]],
    ['a missing parent', 'MissingParent', [file('etc/passwd')]],
    ['a file as parent', 'MissingParent', [file('etc'), file('etc/passwd')]],
    ['a symlink as parent', 'MissingParent', [directory('usr'), symlink('lib', 'usr'), file('lib/x')]],
    ['a file of 4 GiB', 'Unrepresentable', [{ ...file('big'), size: 4 * 1024 ** 3 } as Entry]],
    [
      'an owner that chown(2) reads as "keep"',
      'Unrepresentable',
      [{ ...file('a'), uid: 0xffff_ffff } as Entry],
    ],
    ['a group beyond 32 bits', 'Unrepresentable', [{ ...file('a'), gid: 2 ** 32 } as Entry]],
    ['type bits in the mode', 'Unrepresentable', [{ ...file('a'), mode: 0o100644 } as Entry]],
    ['an empty symlink', 'Unrepresentable', [symlink('a', '')]],
    ['a symlink beyond PATH_MAX', 'Unrepresentable', [symlink('a', 'x'.repeat(4096))]],
    [
      'a device number beyond 20 bits',
      'Unrepresentable',
      [{ type: 'block', path: 'a', ...META, major: 1, minor: 2 ** 20 }],
    ],
    ['a hard link to nothing', 'InvalidLink', [link('a', 'b')]],
    ['a hard link to a directory', 'InvalidLink', [directory('b'), link('a', 'b')]],
    ['a hard link to itself', 'InvalidLink', [link('a', 'b'), link('b', 'a')]],
  ];
  it.each(refused)('%s', (_, code, entries) => {
    expect(() => arrange(entries)).toThrow(expect.objectContaining({ name: 'InitramfsError', code }));
  });

  it('names the entry and its missing folder', () => {
    expect(() => arrange([file('etc/passwd')])).toThrow(/"etc\/passwd" would be lost: its folder "etc"/);
  });
});

describe('arrange', () => {
  it('puts parents first whatever the order', () => {
    const entries = [file('a/b/c'), file('a-b'), directory('a/b'), directory('a')];
    expect(arrange(entries).map((entry) => entry.path)).toEqual(['a', 'a-b', 'a/b', 'a/b/c']);
  });

  it('accepts a parent that an earlier member brought', () => {
    expect(arrange([file('etc/motd')], (path) => path === 'etc')).toHaveLength(1);
  });

  it('gives all names of a file one inode and its number of names', () => {
    const arranged = arrange([link('z', 'm'), file('m', 3), link('a', 'z'), file('other')]);
    expect(arranged.map(({ path, hardLink }) => [path, hardLink?.first, hardLink?.names])).toEqual([
      ['a', 0, 3],
      ['m', 0, 3],
      ['other', undefined, undefined],
      ['z', 0, 3],
    ]);
  });

  it('copies a symlink that is hard linked', () => {
    const arranged = arrange([symlink('a', 'x'), link('b', 'a')]);
    expect(arranged[1]).toEqual({ ...symlink('a', 'x'), path: 'b' });
  });

  it('gives the same order for every order of the same tree', () => {
    const name = fc.constantFrom('a', 'b', 'lib', 'é', '-');
    const paths = fc.uniqueArray(
      fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
    );
    fc.assert(
      fc.property(paths, fc.infiniteStream(fc.nat()), (given, random) => {
        const all = new Set(
          given.flatMap((path) => path.split('/').map((_, i, parts) => parts.slice(0, i + 1).join('/'))),
        );
        const entries = [...all].map(directory);
        const shuffled = entries
          .map((entry) => ({ entry, key: random.next().value ?? 0 }))
          .sort((a, b) => a.key - b.key);
        const arranged = arrange(shuffled.map(({ entry }) => entry));
        expect(arranged.map((entry) => entry.path)).toEqual(arrange(entries).map((entry) => entry.path));
        arranged.forEach((entry, index) => {
          const parent = entry.path.split('/').slice(0, -1).join('/');
          if (parent !== '') expect(arranged.slice(0, index).some(({ path }) => path === parent)).toBe(true);
        });
      }),
    );
  });

  it.each([
    [-5, 0],
    [1.9, 1],
    [2 ** 33, 0xffff_ffff],
  ])('moves time %d to %d', (time, held) => expect(representableTime(time)).toBe(held));

  it('raises errors of its own class', () => {
    expect(() => arrange([directory('')])).toThrow(InitramfsError);
  });
});
