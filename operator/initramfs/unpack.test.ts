import { describe, expect, it } from 'vitest';
import { FILE_TYPE, type Header } from './newc.ts';
import type { ReadEntry } from './reader.ts';
import { unpack } from './unpack.ts';

let ino = 1000;
function entry(
  type: keyof typeof FILE_TYPE,
  path: string,
  data = '',
  header: Partial<Header> = {},
): ReadEntry {
  ino += 1;
  const zero = { uid: 0, gid: 0, mtime: 0, devmajor: 0, devminor: 0, rdevmajor: 0, rdevminor: 0 };
  return {
    path,
    data: Buffer.from(data),
    member: 0,
    header: {
      ...zero,
      ino,
      mode: FILE_TYPE[type] | 0o644,
      nlink: 1,
      filesize: data.length,
      namesize: path.length + 1,
      ...header,
    },
  };
}
const trailer = entry('file', 'TRAILER!!!');
const hard = { ino: 1, nlink: 2 };

describe('unpack knows what the kernel loses', () => {
  const cases: [string, ReadEntry[], string[]][] = [
    ['an entry without parent', [entry('file', 'a/b')], ['a/b']],
    ['a file over a full folder', [entry('directory', 'a'), entry('file', 'a/b'), entry('file', 'a')], ['a']],
    [
      'a symlink over a full folder',
      [entry('directory', 'a'), entry('file', 'a/b'), entry('symlink', 'a', 'x')],
      ['a'],
    ],
    ['what lies behind a file', [entry('file', 'a'), entry('file', 'a/b')], ['a/b']],
    [
      'a device over a device',
      [entry('character', 'a'), entry('character', 'a', '', { rdevmajor: 1 })],
      ['a'],
    ],
    ['an empty symlink', [entry('symlink', 'a')], ['a']],
    ['nothing of a file over an empty folder', [entry('directory', 'a'), entry('file', 'a')], []],
  ];
  it.each(cases)('%s', (_, entries, lost) => {
    expect(unpack(entries).lost.map(({ path }) => path)).toEqual(lost);
  });
});

describe('unpack', () => {
  it('lets a later file write into the inode that two names share', () => {
    const { nodes } = unpack([
      entry('file', 'a', 'old', hard),
      entry('file', 'b', '', hard),
      entry('file', 'b', 'new'),
    ]);
    expect(nodes.get('a')?.data.toString()).toBe('new');
  });

  it('forgets hard links at a trailer', () => {
    const { nodes } = unpack([entry('file', 'a', 'x', hard), trailer, entry('file', 'b', '', hard)]);
    expect(nodes.get('b')?.data.toString()).toBe('');
  });

  it('takes the data of a hard link with whichever name brings it', () => {
    const { nodes } = unpack([entry('file', 'a', '', hard), entry('file', 'b', 'x', hard)]);
    expect(nodes.get('a')?.data.toString()).toBe('x');
  });
});
