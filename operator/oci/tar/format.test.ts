import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TarHeader } from './entry.ts';
import { formatTarHeader, TAR_BOUNDS, TAR_END, tarPadding } from './format.ts';
import { TarIndexer } from './indexer.ts';
import { TAR_LIMITS } from './limits.ts';

const FILE: TarHeader = {
  path: 'etc/motd',
  type: 'file',
  mode: 0o644,
  uid: 1,
  gid: 2,
  mtime: 1000,
  size: 0,
  linkTarget: '',
  devMajor: 0,
  devMinor: 0,
};

function read(bytes: Buffer, size = 0): TarHeader | undefined {
  const indexer = new TarIndexer('archive', { ...TAR_LIMITS, maxTarBytes: Number.MAX_SAFE_INTEGER });
  indexer.push(bytes);
  indexer.passOver(size + tarPadding(size).length);
  indexer.push(TAR_END);
  indexer.end();
  const [entry] = indexer.entries;
  if (entry === undefined) return undefined;
  const { offset: _, ...header } = entry;
  return header;
}

const flagOf = (block: Buffer): string => block.toString('latin1', 156, 157);

describe('the header of an entry', () => {
  it('is one block where all of it fits', () => {
    const header = formatTarHeader(FILE);
    expect(header).toHaveLength(512);
    expect(flagOf(header)).toBe('0');
    expect(header.toString('latin1', 257, 265)).toBe('ustar\x0000');
    expect(read(header)).toEqual(FILE);
  });

  it.each<[string, Partial<TarHeader>, string]>([
    ['a name of 101 bytes', { path: 'p'.repeat(101) }, `path=${'p'.repeat(101)}`],
    ['a name outside of ASCII', { path: 'etc/grün' }, 'path=etc/grün'],
    ['a long link', { type: 'symlink', linkTarget: 't'.repeat(101) }, `linkpath=${'t'.repeat(101)}`],
    ['a user beyond 7 octal digits', { uid: 0o10000000 }, 'uid=2097152'],
    ['a group beyond 7 octal digits', { gid: 0xffff_ffff }, 'gid=4294967295'],
    ['a file of 8 GiB', { size: 8 * 2 ** 30 }, 'size=8589934592'],
    ['a fraction of a second', { mtime: 1000.25 }, 'mtime=1000.25'],
    ['a time before 1970', { mtime: -5 }, 'mtime=-5'],
  ])('has a record for %s', (_, change, record) => {
    const entry = { ...FILE, ...change };
    const header = formatTarHeader(entry);
    expect(flagOf(header)).toBe('x');
    expect(header.toString()).toContain(` ${record}\n`);
    expect(read(header, entry.size)).toEqual(entry);
  });

  it.each<[string, Partial<TarHeader>]>([
    ['a name of 100 bytes', { path: 'p'.repeat(100) }],
    ['the largest short number', { uid: 0o7777777, gid: 0o7777777 }],
    ['the largest size', { size: 8 * 2 ** 30 - 1 }],
    ['a device', { type: 'block', devMajor: 259, devMinor: TAR_BOUNDS.device }],
  ])('needs none for %s', (_, change) => {
    const entry = { ...FILE, ...change };
    expect(formatTarHeader(entry)).toHaveLength(512);
    expect(read(formatTarHeader(entry), entry.size)).toEqual(entry);
  });

  it('has extended attributes byte for byte, and records of the caller, in the order of their names', () => {
    const capability = Buffer.from([1, 0, 0, 2, 0, 0x20, 0, 0, 0x0a, 0x3d, 0xff]);
    const entry = { ...FILE, xattrs: new Map<string, Uint8Array>([['security.capability', capability]]) };
    const header = formatTarHeader(entry, { 'LINUXKIT.source': 'image', 'LINUXKIT.location': 'init[0]' });
    const text = header.toString('latin1', 512, 1024);
    expect(text.indexOf('LINUXKIT.location=init[0]\n')).toBeLessThan(text.indexOf('LINUXKIT.source=image\n'));
    expect(text.indexOf('LINUXKIT.source')).toBeLessThan(text.indexOf('SCHILY.xattr.security.capability='));
    expect(Buffer.from(read(header)?.xattrs?.get('security.capability') ?? [])).toEqual(capability);
  });

  it.each([6, 7, 8, 95, 96, 97, 98, 990, 991, 992])(
    'counts its own digits, a value of %i bytes',
    (length) => {
      const header = formatTarHeader(FILE, { k: 'v'.repeat(length) });
      const [record = ''] = header.toString('latin1', 512).split('\n', 1);
      expect(Number.parseInt(record, 10)).toBe(record.length + 1);
      expect(read(header)).toEqual(FILE);
    },
  );

  it('is read as what was written', () => {
    const text = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 300 })
      .filter((s) => !s.includes('\0'));
    const entry = fc.record({
      path: text,
      type: fc.constantFrom('file', 'directory', 'fifo'),
      mode: fc.nat(0o7777),
      uid: fc.nat(0xffff_ffff),
      gid: fc.nat(0xffff_ffff),
      mtime: fc.oneof(
        fc.integer(),
        fc.integer({ min: 0, max: 2 ** 40 }).map((n) => n / 8),
      ),
      size: fc.constant(0),
      linkTarget: fc.constant(''),
      devMajor: fc.constant(0),
      devMinor: fc.constant(0),
    });
    fc.assert(
      fc.property(entry, (header) => {
        expect(read(formatTarHeader(header))).toEqual(header);
      }),
    );
  });
});
