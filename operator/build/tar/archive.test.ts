import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Entry, Metadata } from '../../initramfs/entry.ts';
import type { IndexedTarEntry } from '../../oci/tar/entry.ts';
import { TarIndexer } from '../../oci/tar/indexer.ts';
import { type LocatedSection, writeTar } from './archive.ts';

const META: Metadata = { mode: 0o755, uid: 0, gid: 0, mtime: 1000 };
const directory = (path: string, more: Partial<Metadata> = {}): Entry => ({
  type: 'directory',
  path,
  ...META,
  ...more,
});
const file = (path: string, text: string, more: Partial<Metadata> = {}): Entry => ({
  type: 'file',
  path,
  ...META,
  ...more,
  size: text.length,
  content: [Buffer.from(text)],
});
const section = (location: string, entries: Entry[], more: Partial<LocatedSection> = {}): LocatedSection => ({
  location,
  source: `image-of-${location}`,
  entries,
  implied: new Set(),
  ...more,
});

async function archive(...sections: LocatedSection[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const sum = await writeTar(sections, new AbortController().signal, async (bytes) => {
    chunks.push(Buffer.from(bytes));
  });
  const bytes = Buffer.concat(chunks);
  expect(sum).toEqual({ size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
  return bytes;
}

function read(bytes: Buffer): readonly (IndexedTarEntry & { readonly text: string })[] {
  const indexer = new TarIndexer('archive');
  indexer.push(bytes);
  indexer.end();
  return indexer.entries.map((entry) => ({
    ...entry,
    text: bytes.toString('utf8', entry.offset, entry.offset + entry.size),
  }));
}

describe('an archive of the root file system', () => {
  it('has its sections in their order, in each the parents first, and ends in two blocks of zeros', async () => {
    const bytes = await archive(
      section('kernel', [file('boot/kernel', 'kernel'), directory('boot')]),
      section('init[0]', [file('etc/passwd', 'root'), directory('etc'), directory('bin')]),
      section('files', [file('etc/motd', 'hello')]),
    );
    expect(read(bytes).map(({ path, text }) => [path, text])).toEqual([
      ['boot', ''],
      ['boot/kernel', 'kernel'],
      ['bin', ''],
      ['etc', ''],
      ['etc/passwd', 'root'],
      ['etc/motd', 'hello'],
    ]);
    expect(bytes.length % 512).toBe(0);
    expect(bytes.subarray(-1024).every((byte) => byte === 0)).toBe(true);
  });

  it('says of every entry where it comes from, but for a document of its own', async () => {
    const bytes = await archive(
      section('services[0]', [directory('a')]),
      section('files', [directory('b'), directory('c')], { locationOf: (path) => `files[${path}]` }),
      section('sbom', [file('sbom', '')], { anonymous: true }),
    );
    expect(
      [...bytes.toString().matchAll(/LINUXKIT\.(\w+)=(.*)\n/g)].map(([, key, value]) => [key, value]),
    ).toEqual([
      ['location', 'services[0]'],
      ['source', 'image-of-services[0]'],
      ['location', 'files[b]'],
      ['source', 'image-of-files'],
      ['location', 'files[c]'],
      ['source', 'image-of-files'],
    ]);
  });

  it('has a hard link after the file that it names, whichever was first in the image', async () => {
    const bytes = await archive(
      section('init[0]', [
        file('z', 'data'),
        { type: 'link', path: 'm', target: 'z' },
        { type: 'link', path: 'a', target: 'z' },
      ]),
    );
    expect(read(bytes).map(({ path, type, linkTarget, text }) => [path, type, linkTarget, text])).toEqual([
      ['a', 'file', '', 'data'],
      ['m', 'hardlink', 'a', ''],
      ['z', 'hardlink', 'a', ''],
    ]);
  });

  it('keeps what an initramfs has no room for: attributes, fractions of seconds, large ids', async () => {
    const xattrs = new Map<string, Uint8Array>([['security.capability', Buffer.from([1, 0, 10, 255])]]);
    const bytes = await archive(
      section('init[0]', [file('ping', 'x', { xattrs, mtime: 12.5, uid: 0xffff_ffff })]),
    );
    const [entry] = read(bytes);
    expect(entry).toMatchObject({ mtime: 12.5, uid: 0xffff_ffff });
    expect(Buffer.from(entry?.xattrs?.get('security.capability') ?? [])).toEqual(
      Buffer.from([1, 0, 10, 255]),
    );
  });

  it('leaves out what a later section replaces, and moves what lies where a link is', async () => {
    const bytes = await archive(
      section('kernel', [directory('lib'), directory('lib/modules'), file('lib/modules/x.ko', 'x')]),
      section('init[0]', [
        directory('usr'),
        directory('usr/lib'),
        { type: 'symlink', path: 'lib', target: 'usr/lib', ...META },
        directory('etc'),
        file('etc/motd', 'image'),
      ]),
      section('files', [directory('etc', { mode: 0o700 }), file('etc/motd', 'mine')], {
        implied: new Set(['etc']),
      }),
    );
    const entries = read(bytes);
    expect(entries.filter(({ path }) => path === 'etc/motd').map(({ text }) => text)).toEqual(['mine']);
    expect(entries.filter(({ path }) => path === 'etc').map(({ mode }) => mode)).toEqual([0o755]);
    expect(entries.map(({ path }) => path)).toContain('usr/lib/modules/x.ko');
    expect(entries.find(({ path }) => path === 'lib')?.type).toBe('symlink');
  });

  it.each([
    [
      'a file in place of a directory',
      section('files', [file('bin', '')]),
      /"bin\/sh" of init\[0\] would be lost/,
    ],
    [
      'a file that is shorter than it should be',
      section('files', [{ ...file('x', 'abc'), size: 9 } as Entry]),
      /"x" has 9 bytes, but 3 were read/,
    ],
    [
      'a file that is longer',
      section('files', [{ ...file('x', 'abc'), size: 2 } as Entry]),
      /"x" has 2 bytes, but more were read/,
    ],
    ['a path out of the root', section('files', [file('../x', '')]), /not a plain relative path/],
  ])('refuses %s', async (_, last, message) => {
    const init = section('init[0]', [directory('bin'), file('bin/sh', 'sh')]);
    await expect(archive(init, last)).rejects.toThrow(message);
  });

  it('stops when it is told to', async () => {
    const writing = writeTar(
      [section('init[0]', [directory('a')])],
      AbortSignal.abort(),
      async () => undefined,
    );
    await expect(writing).rejects.toMatchObject({ name: 'AbortError' });
  });
});
