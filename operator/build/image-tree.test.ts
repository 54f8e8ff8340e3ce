import { describe, expect, it } from 'vitest';
import { arrange } from '../initramfs/arrange.ts';
import type { Entry } from '../initramfs/entry.ts';
import { BUILD_TIME } from '../linuxkit/constants.ts';
import type { FileNode, FileTree } from '../oci/file-tree.ts';
import type { Spool } from '../oci/spool.ts';
import { adjust, imageTree, indexOf, plainTree } from './image-tree.ts';

const spool: Spool = {
  size: 0,
  descriptor: 3,
  extend: () => undefined,
  append: async () => undefined,
  async *read(offset, length) {
    yield Buffer.alloc(length, offset);
  },
  async [Symbol.asyncDispose]() {},
};
const META = { mode: 0o640, uid: 5, gid: 6, mtime: 1000, links: 1 } as const;
const file = (path: string, more: Partial<FileNode> = {}): FileNode =>
  ({ ...META, type: 'file', path, size: 3, body: { spool, offset: 7 }, ...more }) as FileNode;
const folder = (path: string, implicit = false): FileNode => ({ ...META, type: 'directory', path, implicit });
const treeOf = (...nodes: FileNode[]): FileTree => ({
  nodes: () => nodes.values(),
  get: (path) => nodes.find((node) => node.path === path),
});
const paths = (entries: readonly Entry[]): string[] => entries.map(({ path }) => path).sort();
const at = (entries: readonly Entry[], path: string): Entry | undefined =>
  entries.find((entry) => entry.path === path);

const ADDED = ['dev', 'dev/pts', 'dev/shm', 'etc', 'etc/hosts', 'etc/mtab', 'etc/resolv.conf', 'proc', 'sys'];

describe('imageTree', () => {
  it('keeps metadata, drops what Docker leaves behind, and adds what every image has', () => {
    const tree = treeOf(
      file('.dockerenv'),
      folder('etc'),
      file('etc/hostname'),
      file('etc/hosts'),
      file('x'),
    );
    const { entries } = imageTree(tree, 'init', '');
    expect(paths(entries)).toEqual([...ADDED, 'x']);
    expect(at(entries, 'x')).toMatchObject({
      type: 'file',
      size: 3,
      mode: 0o640,
      uid: 5,
      gid: 6,
      mtime: 1000,
    });
    expect(at(entries, 'etc')).toMatchObject({ mode: 0o755, uid: 0, mtime: BUILD_TIME });
    expect(at(entries, 'etc/resolv.conf')).toMatchObject({
      type: 'symlink',
      target: '/run/resolvconf/resolv.conf',
    });
  });

  it('replaces links in the place of hosts and resolv.conf, which other tools stumble over', () => {
    const link = (path: string): FileNode => ({ ...META, type: 'symlink', path, target: '../run/x' });
    const { entries } = imageTree(
      treeOf(folder('etc'), link('etc/hosts'), link('etc/resolv.conf')),
      'bundle',
      'c',
    );
    expect(at(entries, 'c/etc/hosts')).toMatchObject({ type: 'file', size: 160 });
    expect(at(entries, 'c/etc/resolv.conf')).toMatchObject({ type: 'file', size: 29 });
  });

  it('gives an mtab of the image the build’s time', () => {
    const { entries } = imageTree(treeOf(folder('etc'), file('etc/mtab')), 'bundle', '');
    expect(entries.filter(({ path }) => path === 'etc/mtab')).toMatchObject([
      { type: 'file', mtime: BUILD_TIME },
    ]);
  });

  it('puts everything below its place, folders first', () => {
    const tree = treeOf(
      folder('bin'),
      file('bin/a', { links: 2 }),
      file('bin/b', { links: 2, hardLinkTo: 'bin/a' }),
    );
    const { entries } = imageTree(tree, 'bundle', 'containers/services/x/lower');
    expect(paths(entries).slice(0, 4)).toEqual([
      'containers',
      'containers/services',
      'containers/services/x',
      'containers/services/x/lower',
    ]);
    expect(at(entries, 'containers/services/x/lower/bin/b')).toEqual({
      type: 'link',
      path: 'containers/services/x/lower/bin/b',
      target: 'containers/services/x/lower/bin/a',
    });
    expect(arrange(entries).length).toBe(entries.length);
  });

  it('makes a file of a hard link whose first name is dropped', () => {
    const tree = treeOf(
      file('.dockerenv', { links: 3 }),
      file('b', { links: 3, hardLinkTo: '.dockerenv' }),
      file('c', { links: 3, hardLinkTo: '.dockerenv' }),
    );
    const { entries } = imageTree(tree, 'init', '');
    expect(at(entries, 'b')).toMatchObject({ type: 'file', size: 3 });
    expect(at(entries, 'c')).toEqual({ type: 'link', path: 'c', target: 'b' });
  });

  it('leaves boot out of the root, but not out of a container', () => {
    const tree = treeOf(folder('boot'), file('boot/kernel'), file('bootx'));
    expect(paths(imageTree(tree, 'init', '').entries)).not.toContain('boot/kernel');
    expect(paths(plainTree(tree).entries)).toEqual(['bootx']);
    expect(paths(imageTree(tree, 'bundle', 'c').entries)).toContain('c/boot/kernel');
  });
});

describe('indexOf', () => {
  it('tells directories that nobody asked for from others', () => {
    expect(indexOf(plainTree(treeOf(folder('a', true), folder('b'), file('a/x'))))).toEqual([
      { path: 'a', type: 'implied' },
      { path: 'b', type: 'directory' },
      { path: 'a/x', type: 'file' },
    ]);
  });
});

describe('adjust', () => {
  const entries = plainTree(
    treeOf(
      folder('lib'),
      file('lib/a', { links: 3 }),
      file('lib/b', { links: 3, hardLinkTo: 'lib/a' }),
      file('lib/c', { links: 3, hardLinkTo: 'lib/a' }),
    ),
  ).entries;

  it('moves entries and their links, and takes out what it is told to', () => {
    const moved = adjust(entries, { moves: [{ from: 'lib', to: 'usr/lib' }], removed: ['lib'], added: [] });
    expect(paths(moved)).toEqual(['usr/lib/a', 'usr/lib/b', 'usr/lib/c']);
    expect(at(moved, 'usr/lib/c')).toMatchObject({ type: 'link', target: 'usr/lib/a' });
  });

  it('makes a file of the first link when the file itself is gone', () => {
    const left = adjust(entries, { moves: [], removed: ['lib/a'], added: ['x'] });
    expect(at(left, 'lib/b')).toMatchObject({ type: 'file', size: 3 });
    expect(at(left, 'lib/c')).toMatchObject({ type: 'link', target: 'lib/b' });
    expect(at(left, 'x')).toMatchObject({ type: 'directory', mode: 0o755 });
  });

  it('keeps the directory that was there when another is moved onto it', () => {
    const both = plainTree(
      treeOf(folder('lib'), folder('lib/x'), folder('usr'), folder('usr/lib'), folder('usr/lib/x')),
    ).entries;
    const left = adjust(both, { moves: [{ from: 'lib', to: 'usr/lib' }], removed: ['lib'], added: [] });
    expect(paths(left)).toEqual(['usr', 'usr/lib', 'usr/lib/x']);
  });
});
