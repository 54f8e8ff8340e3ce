import { Buffer } from 'node:buffer';
import * as fc from 'fast-check';
import tarStream from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { OciError } from '../errors.ts';
import type { TarHeader } from './entry.ts';
import { TarIndexer } from './indexer.ts';
import { TAR_LIMITS, type TarLimits } from './limits.ts';
import { readTar } from './read.ts';

interface Field {
  name?: string;
  flag?: string;
  mode?: string;
  uid?: string | Buffer;
  size?: number | string | Buffer;
  mtime?: string | Buffer;
  link?: string;
  magic?: string;
  prefix?: string;
  major?: string;
  minor?: string;
}

/** A header block written field by field, so that what no writer writes can be written. */
function header(fields: Field): Buffer {
  const block = Buffer.alloc(512);
  const put = (value: string | Buffer, at: number): void => {
    Buffer.from(value).copy(block, at);
  };
  put(fields.name ?? 'a', 0);
  put(fields.mode ?? '0000644\0', 100);
  put(fields.uid ?? '0000000\0', 108);
  put('0000000\0', 116);
  put(
    typeof fields.size === 'number' ? fields.size.toString(8).padStart(11, '0') : (fields.size ?? '0'),
    124,
  );
  put(fields.mtime ?? '00000000000\0', 136);
  put(fields.flag ?? '0', 156);
  put(fields.link ?? '', 157);
  put(fields.magic ?? 'ustar\x0000', 257);
  put(fields.major ?? '', 329);
  put(fields.minor ?? '', 337);
  put(fields.prefix ?? '', 345);
  put('        ', 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function body(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

function pax(...records: readonly (string | Buffer)[]): Buffer {
  const lines = records.map((record) => {
    const text = Buffer.from(record);
    let length = text.length + 3;
    while (`${length} `.length + text.length + 1 !== length) length++;
    return Buffer.concat([Buffer.from(`${length} `), text, Buffer.from('\n')]);
  });
  const data = Buffer.concat(lines);
  return Buffer.concat([header({ name: 'pax', flag: 'x', size: data.length }), body(data)]);
}

const END = Buffer.alloc(1024);

async function* chunked(archive: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < archive.length; at += size) yield archive.subarray(at, at + size);
}

async function read(
  archive: Uint8Array,
  size = 4096,
  limits = TAR_LIMITS,
): Promise<{ header: TarHeader; content: Buffer }[]> {
  const entries = [];
  for await (const { body, ...rest } of readTar(chunked(archive, size), 'test', limits)) {
    const parts = [];
    for await (const part of body) parts.push(part);
    entries.push({ header: rest, content: Buffer.concat(parts) });
  }
  return entries;
}

function index(
  archive: Uint8Array,
  size = 4096,
  limits = TAR_LIMITS,
): { header: TarHeader; content: Buffer }[] {
  const indexer = new TarIndexer('test', limits);
  for (let at = 0; at < archive.length; at += size) {
    // A buffer that is overwritten afterwards shows whether the indexer kept any of it.
    const chunk = Uint8Array.from(archive.subarray(at, at + size));
    indexer.push(chunk);
    chunk.fill(0xff);
  }
  indexer.end();
  return indexer.entries.map(({ offset, ...rest }) => ({
    header: rest,
    content: Buffer.from(archive.subarray(offset, offset + rest.size)),
  }));
}

async function codeOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    if (error instanceof OciError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return undefined;
}

describe('reading an archive', () => {
  it.each([
    [
      'a plain file',
      [header({ name: 'bin/sh', size: 2, mode: '0104755\0' }), body('hi')],
      { path: 'bin/sh', mode: 0o4755, size: 2 },
    ],
    ['a ustar prefix', [header({ name: 'b', prefix: 'a/long' })], { path: 'a/long/b' }],
    ['no prefix in the GNU format', [header({ name: 'b', magic: 'ustar  \0', prefix: 'x' })], { path: 'b' }],
    [
      'a directory from before POSIX',
      [header({ name: 'd/', flag: '\0', magic: '' })],
      { path: 'd/', type: 'directory' },
    ],
    [
      'a base-256 owner',
      [header({ uid: Buffer.from([0x80, 0, 0, 0, 0xee, 0x6b, 0x28, 0]) })],
      { uid: 4_000_000_000 },
    ],
    ['a base-256 time before 1970', [header({ mtime: Buffer.alloc(12, 0xff) })], { mtime: -1 }],
    ['a symbolic link', [header({ flag: '2', link: '../x' })], { type: 'symlink', linkTarget: '../x' }],
    ['a hard link with a size', [header({ flag: '1', link: 'x', size: 512 })], { type: 'hardlink', size: 0 }],
    [
      'a device',
      [header({ flag: '3', major: '0000005\0', minor: '0000001\0' })],
      { type: 'character', devMajor: 5, devMinor: 1 },
    ],
    ['a fifo', [header({ flag: '6' })], { type: 'fifo' }],
    ['a contiguous file', [header({ flag: '7' })], { type: 'file' }],
    [
      'PAX numbers',
      [pax('uid=3000000', 'gid=3000001', 'mtime=12.5', 'size=3'), header({ size: 0 }), body('abc')],
      { uid: 3_000_000, gid: 3_000_001, mtime: 12.5, size: 3 },
    ],
    ['a PAX path', [pax('path=ü/ö'), header({ name: 'x' })], { path: 'ü/ö' }],
    ['a PAX value taken back', [pax('path=y', 'path='), header({ name: 'x' })], { path: 'x' }],
    ['a PAX link path', [pax('linkpath=/t'), header({ flag: '2' })], { linkTarget: '/t' }],
    [
      'GNU long names',
      [
        header({ flag: 'L', size: 5 }),
        body('long\0'),
        header({ flag: 'K', size: 5 }),
        body('link\0'),
        header({ flag: '2', name: 'short', link: 'x' }),
      ],
      { path: 'long', linkTarget: 'link' },
    ],
    [
      'a global PAX header passed over',
      [header({ flag: 'g', size: 3 }), body('xyz'), header({ name: 'k' })],
      { path: 'k' },
    ],
    ['an empty record', [header({ flag: 'x', size: 0 }), header({ name: 'k' })], { path: 'k' }],
  ])('knows %s', async (_, blocks, expected) => {
    const archive = Buffer.concat([...blocks, END]);
    for (const size of [1, 511, 4096]) {
      const [entry] = await read(archive, size);
      expect(entry?.header).toMatchObject(expected);
      expect(index(archive, size)).toEqual(await read(archive, size));
    }
  });

  it('keeps attributes that are not text', async () => {
    const capability = Buffer.from([1, 0, 0, 2, 0xff, 0xfe, 0x0a, 0]);
    const record = Buffer.concat([Buffer.from('SCHILY.xattr.security.capability='), capability]);
    const [entry] = await read(Buffer.concat([pax(record), header({}), END]));
    expect(Buffer.from(entry?.header.xattrs?.get('security.capability') ?? [])).toEqual(capability);
  });

  it('skips what is not read', async () => {
    const archive = Buffer.concat([
      header({ name: 'a', size: 1300 }),
      body('x'.repeat(1300)),
      header({ name: 'b', size: 1 }),
      body('y'),
      END,
    ]);
    const seen = [];
    for await (const entry of readTar(chunked(archive, 100), 'test')) {
      seen.push(entry.path);
      if (entry.path === 'a') for await (const part of entry.body) if (part.length > 0) break;
    }
    expect(seen).toEqual(['a', 'b']);
  });

  it('reads the source to its end, and closes it when it is left', async () => {
    let state = 'open';
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.concat([header({}), header({ name: 'b' }), END]);
        yield Buffer.from('trailing');
        state = 'drained';
      } finally {
        if (state === 'open') state = 'closed';
      }
    }
    for await (const entry of readTar(source(), 'test')) expect(entry.size).toBe(0);
    expect(state).toBe('drained');
    state = 'open';
    for await (const entry of readTar(source(), 'test')) if (entry.path === 'a') break;
    expect(state).toBe('closed');
  });

  const tight = (limits: Partial<TarLimits>): TarLimits => ({ ...TAR_LIMITS, ...limits });
  it.each([
    ['a wrong checksum', [Buffer.alloc(512, 'x')], /^InvalidTar: .*at byte 0.*checksum/],
    ['an unknown type', [header({ flag: 'Z' })], /^InvalidTar: .*"Z"/],
    ['GNU sparse files', [header({ flag: 'S' })], /^InvalidTar: .*sparse/],
    ['PAX sparse files', [pax('GNU.sparse.major=1'), header({})], /^InvalidTar: .*sparse/],
    ['a number that is none', [header({ mode: '00x0644\0' })], /^InvalidTar: .*mode/],
    ['a negative size', [header({ size: Buffer.alloc(12, 0xff) })], /^InvalidTar: .*negative/],
    [
      'an enormous size',
      [header({ size: Buffer.from([0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) })],
      /^InvalidTar: .*size/,
    ],
    [
      'a size beyond the limit',
      [header({ size: '77777777777' })],
      /^LimitExceeded: .*maxTarBytes/,
      tight({ maxTarBytes: 1 << 20 }),
    ],
    ['a broken PAX length', [header({ flag: 'x', size: 9 }), body('99 path=a')], /^InvalidTar: .*length/],
    [
      'a PAX record without =',
      [header({ flag: 'x', size: 6 }), body('6 abc\n'), header({})],
      /^InvalidTar: .*KEYWORD/,
    ],
    ['a PAX size that is no number', [pax('size=-1'), header({})], /^InvalidTar: .*"size"/],
    [
      'a name that is not UTF-8',
      [pax(Buffer.from('path=\xff', 'latin1')), header({})],
      /^UnsafePath: .*UTF-8/,
    ],
    ['a NUL in a name', [pax('path=a\0b'), header({})], /^UnsafePath: .*NUL/],
    ['a body that breaks off', [header({ size: 600 }), Buffer.alloc(512)], /^InvalidTar: .*middle/],
    ['a header that breaks off', [header({}).subarray(0, 100)], /^InvalidTar: .*middle/],
    ['a record without an entry', [pax('path=a'), END], /^InvalidTar: .*after a record/],
    ['an enormous record', [header({ flag: 'x', size: 2 << 20 })], /^LimitExceeded: .*maxTarRecordBytes/],
    ['a long path', [pax(`path=${'x/'.repeat(2048)}`), header({})], /^LimitExceeded: .*maxTarPathBytes/],
    [
      'many headers',
      [header({}), header({}), header({})],
      /^LimitExceeded: .*maxTarHeaders/,
      tight({ maxTarHeaders: 2 }),
    ],
    [
      'many names',
      [header({}), header({})],
      /^LimitExceeded: .*maxTarMetadataBytes/,
      tight({ maxTarMetadataBytes: 1 }),
    ],
    ['an owner out of range', [header({ uid: Buffer.alloc(8, 0xff) })], /^InvalidTar: .*uid/],
  ])('refuses %s', async (_, blocks, message, limits = TAR_LIMITS) => {
    const archive = Buffer.concat(blocks);
    for (const size of [7, 4096]) {
      expect(await codeOf(() => read(archive, size, limits))).toMatch(message);
      expect(await codeOf(() => index(archive, size, limits))).toMatch(message);
    }
  });

  it('reads what tar-stream writes', async () => {
    const name = fc.stringMatching(/^[a-zA-Z0-9äöü_.-]{1,60}$/);
    const entry = fc.record({
      path: fc.array(name, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/')),
      content: fc.uint8Array({ maxLength: 2000 }),
      // tar-stream takes 0 for unset.
      mode: fc.integer({ min: 1, max: 0o7777 }),
      uid: fc.integer({ min: 0, max: 0o777777 }),
      mtime: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      type: fc.constantFrom('file', 'symlink', 'link', 'directory', 'fifo') as fc.Arbitrary<
        'file' | 'symlink' | 'link'
      >,
      target: fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 8 }),
        fc.integer({ min: 1, max: 3000 }),
        async (entries, size) => {
          const pack = tarStream.pack();
          for (const { path, content, mode, uid, mtime, type, target } of entries) {
            const options = { name: path, mode, uid, gid: 0, mtime: new Date(mtime * 1000), type };
            if (type === 'file') pack.entry(options, Buffer.from(content));
            else pack.entry({ ...options, linkname: target });
          }
          pack.finalize();
          const parts: Buffer[] = [];
          for await (const part of pack as AsyncIterable<Buffer>) parts.push(part);
          const archive = Buffer.concat(parts);
          const result = await read(archive, size);
          expect(index(archive, size)).toEqual(result);
          expect(
            result.map(({ header: { path, mode, uid, mtime, type }, content }) => ({
              path: path.replace(/\/$/, ''),
              mode,
              uid,
              mtime,
              type,
              content,
            })),
          ).toEqual(
            entries.map(({ path, mode, uid, mtime, type, content }) => ({
              path,
              mode,
              uid,
              mtime,
              type: type === 'link' ? 'hardlink' : type,
              content: Buffer.from(type === 'file' ? content : []),
            })),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('fails with its own errors alone, whatever it is given', async () => {
    const mutated = fc
      .record({
        base: fc.constantFrom(
          Buffer.concat([pax('path=some/path', 'size=4'), header({ size: 4 }), body('abcd'), END]),
          Buffer.concat([header({ flag: 'L', size: 5 }), body('long\0'), header({}), END]),
        ),
        edits: fc.array(fc.tuple(fc.nat(2047), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
        fix: fc.boolean(),
      })
      .map(({ base, edits, fix }) => {
        const archive = Buffer.from(base);
        for (const [at, value] of edits) if (at < archive.length) archive[at] = value;
        if (fix) {
          for (let at = 0; at + 512 <= archive.length; at += 512) {
            const block = archive.subarray(at, at + 512);
            if (block.every((byte) => byte === 0)) continue;
            block.write('        ', 148, 'latin1');
            block.write(
              `${block
                .reduce((total, byte) => total + byte, 0)
                .toString(8)
                .padStart(6, '0')}\0 `,
              148,
              'latin1',
            );
          }
        }
        return archive;
      });
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 2048 }), mutated), async (archive) => {
        const pulled = await codeOf(() => read(archive, 300));
        const pushed = await codeOf(() => index(archive, 300));
        expect(pushed).toEqual(pulled);
      }),
      { numRuns: 400 },
    );
  });
});
