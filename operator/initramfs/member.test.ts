import { createHash } from 'node:crypto';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK_SIZE, divide, type EntryRun, WHOLE_SIZE } from './archive.ts';
import { type ArrangedEntry, arrange } from './arrange.ts';
import type { MemberCompression } from './compressor.ts';
import type { Entry, Metadata } from './entry.ts';
import { deviceOf, writeMember } from './member.ts';
import { TRAILER } from './newc.ts';
import { readInitramfs } from './reader.ts';
import { unpack } from './unpack.ts';

const META: Metadata = { mode: 0o644, uid: 1, gid: 2, mtime: 3 };
const signal = new AbortController().signal;

const whole = (entries: readonly ArrangedEntry[]): EntryRun => {
  const [run] = divide(entries, Number.POSITIVE_INFINITY);
  if (run === undefined) throw new Error('no run');
  return run;
};

async function member(
  entries: readonly Entry[],
  options: { compression?: MemberCompression; place?: string; trailer?: boolean } = {},
): Promise<{ bytes: Buffer; sum: Awaited<ReturnType<typeof writeMember>> }> {
  const { compression = 'zstd', place = '', trailer = false } = options;
  const chunks: Buffer[] = [];
  const arranged = arrange(entries);
  const sum = await writeMember(
    whole(arranged),
    { device: deviceOf(place), trailer, compression, signal },
    async (bytes) => void chunks.push(Buffer.from(bytes)),
  );
  return { bytes: Buffer.concat(chunks), sum };
}

const file = (path: string, data: Uint8Array | string): Entry => {
  const bytes = Buffer.from(data);
  return { type: 'file', path, ...META, size: bytes.length, content: [bytes] };
};
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Bytes that do not compress, the same for the same seed. */
function noise(size: number, seed: number): Buffer {
  return createHash('shake256', { outputLength: size }).update(`${seed}`).digest();
}

const TREE: Entry[] = [
  { type: 'directory', path: 'dev', ...META, mode: 0o755 },
  { type: 'character', path: 'dev/null', ...META, mode: 0o666, major: 1, minor: 3 },
  { type: 'block', path: 'dev/vda', ...META, major: 254, minor: 0xf_ffff },
  { type: 'fifo', path: 'dev/pipe', ...META },
  { type: 'symlink', path: 'init', ...META, mode: 0o777, target: 'sbin/init' },
  { type: 'directory', path: 'sbin', ...META, mode: 0o1755 },
  file('sbin/init', 'hello'),
  { type: 'link', path: 'sbin/halt', target: 'sbin/init' },
  file('empty', ''),
  file('über', 'ü'),
];

describe.each(['gzip', 'zstd'] as const)('a %s member', (compression) => {
  it('unpacks to the tree it was made of', async () => {
    const { bytes } = await member(TREE, { compression, trailer: true });
    const { nodes, lost } = unpack(readInitramfs(bytes));
    expect(lost).toEqual([]);
    expect([...nodes.keys()].sort()).toEqual(TREE.map(({ path }) => path).sort());
    expect(nodes.get('dev/null')).toMatchObject({
      type: 'character',
      mode: 0o666,
      uid: 1,
      gid: 2,
      major: 1,
      minor: 3,
    });
    expect(nodes.get('dev/vda')).toMatchObject({ type: 'block', major: 254, minor: 0xf_ffff });
    expect(nodes.get('init')).toMatchObject({ type: 'symlink', mode: 0o777 });
    expect(nodes.get('init')?.data.toString()).toBe('sbin/init');
    expect(nodes.get('sbin')).toMatchObject({ type: 'directory', mode: 0o1755, mtime: 3 });
    expect(nodes.get('sbin/halt')?.data.toString()).toBe('hello');
    expect(nodes.get('sbin/halt')).toBe(nodes.get('sbin/init'));
    expect(nodes.get('über')?.data.toString()).toBe('ü');
  });

  it.each([
    ['', 3 * CHUNK_SIZE + 17],
    [', too large to be collected', WHOLE_SIZE + 17],
  ])('is one stream that any tool can read, and its sums are true%s', async (_, length) => {
    const content = noise(length, 1);
    const { bytes, sum } = await member([file('a', content), file('b', 'x')], { compression });
    const archive = compression === 'gzip' ? gunzipSync(bytes) : zstdDecompressSync(bytes);
    expect(sum).toEqual({
      stored: { size: bytes.length, sha256: sha256(bytes) },
      archive: { size: archive.length, sha256: sha256(archive) },
    });
    expect(archive.length % 4).toBe(0);
    expect(sha256(unpack(readInitramfs(bytes)).nodes.get('a')?.data ?? Buffer.alloc(0))).toBe(
      sha256(content),
    );
  });

  it('does not depend on how the content arrives', async () => {
    const content = noise(5 * CHUNK_SIZE + 3, 2);
    const whole = await member([file('a', content)], { compression });
    const parts = function* (): Generator<Uint8Array> {
      for (let at = 0; at < content.length; at += 70_001) yield content.subarray(at, at + 70_001);
    };
    const pieces: Entry = {
      type: 'file',
      path: 'a',
      ...META,
      size: content.length,
      content: { [Symbol.iterator]: parts },
    };
    const again = await member([pieces], { compression });
    expect(again.sum).toEqual(whole.sum);
    expect(again.bytes.equals(whole.bytes)).toBe(true);
  });

  it('round-trips whatever sizes meet the chunk borders', async () => {
    const size = fc.oneof(
      fc.nat(200),
      fc.integer({ min: CHUNK_SIZE - 300, max: CHUNK_SIZE + 4 }),
      fc.integer({ min: CHUNK_SIZE / 2 - 300, max: CHUNK_SIZE / 2 + 4 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 5 }), async (sizes) => {
        const files = sizes.map((length, index) => ({ path: `f${index}`, data: noise(length, index) }));
        const { bytes } = await member(
          [file('0', Buffer.alloc(WHOLE_SIZE)), ...files.map(({ path, data }) => file(path, data))],
          { compression },
        );
        const { nodes, lost } = unpack(readInitramfs(bytes));
        expect(lost).toEqual([]);
        expect(nodes.size).toBe(files.length + 1);
        for (const { path, data } of files) expect(nodes.get(path)?.data.equals(data)).toBe(true);
      }),
      { numRuns: 8 },
    );
  });

  it.each([
    ['less', [Buffer.from('abc')]],
    ['more', [Buffer.from('abc'), Buffer.from('defg')]],
  ])('refuses a file that delivers %s than announced', async (_, content) => {
    const entry: Entry = { type: 'file', path: 'a', ...META, size: 5, content };
    await expect(member([entry], { compression })).rejects.toMatchObject({ code: 'ContentChanged' });
  });

  it.each([0, 1, 1_000, 10_000, 20_000, 30_000, 32_000, 40_000, 70_000, 530_000, 560_000])(
    'holds %i bytes that do not compress',
    async (size) => {
      const data = noise(size, size);
      const { bytes, sum } = await member([file('a', data)], { compression });
      expect(sum.stored).toEqual({ size: bytes.length, sha256: sha256(bytes) });
      expect(unpack(readInitramfs(bytes)).nodes.get('a')?.data.equals(data)).toBe(true);
    },
  );

  it('passes on what reading and writing throw', async () => {
    const failing: Entry = {
      type: 'file',
      path: 'a',
      ...META,
      size: 5,
      content: {
        [Symbol.iterator]: () => {
          throw new Error('disk gone');
        },
      },
    };
    await expect(member([failing], { compression })).rejects.toThrow('disk gone');
    const options = { device: deviceOf(''), trailer: false, compression, signal };
    const full = async (): Promise<void> => {
      throw new Error('disk full');
    };
    const entries = arrange([file('a', noise(4 * CHUNK_SIZE, 3))]);
    await expect(writeMember(whole(entries), options, full)).rejects.toThrow('disk full');
  });

  it('stops when it is told to', async () => {
    const options = {
      device: deviceOf(''),
      trailer: false,
      compression,
      signal: AbortSignal.abort(),
    };
    const entries = arrange([file('a', 'x')]);
    await expect(writeMember(whole(entries), options, async () => undefined)).rejects.toThrow(/abort/i);
  });
});

describe('a tree divided into runs', () => {
  it('is covered by them, none larger than it must be', () => {
    const size = fc.oneof(fc.nat(100), fc.nat(100_000));
    fc.assert(
      fc.property(fc.array(size), fc.integer({ min: 1, max: 50_000 }), (sizes, target) => {
        const entries = arrange(sizes.map((length, index) => file(`f${index}`, Buffer.alloc(length))));
        const runs = divide(entries, target);
        expect(runs[0]?.first).toBe(0);
        expect(runs.flatMap((run) => run.entries)).toEqual(entries);
        runs.forEach((run) => {
          expect(entries[run.first]).toBe(run.entries[0]);
          if (run.entries.length > 1) expect(run.size).toBeLessThanOrEqual(target);
        });
        expect(runs.reduce((sum, run) => sum + run.size, 0)).toBe(divide(entries, Infinity)[0]?.size);
      }),
    );
  });

  it('unpacks to the same tree, hard links from run to run included', async () => {
    const entries = arrange([
      ...TREE,
      { type: 'link', path: 'zz', target: 'sbin/init' },
      ...Array.from({ length: 20 }, (_, index) => file(`many${index}`, noise(3000, index))),
    ]);
    const runs = divide(entries, 4000);
    expect(runs.length).toBeGreaterThan(5);
    const chunks: Buffer[] = [];
    for (const run of runs) {
      const options = {
        device: deviceOf(''),
        trailer: run === runs.at(-1),
        compression: 'gzip' as const,
        signal,
      };
      await writeMember(run, options, async (bytes) => void chunks.push(Buffer.from(bytes)));
    }
    const { nodes, lost } = unpack(readInitramfs(Buffer.concat(chunks)));
    expect(lost).toEqual([]);
    expect(nodes.size).toBe(entries.length);
    expect(nodes.get('zz')).toBe(nodes.get('sbin/init'));
    expect(nodes.get('many7')?.data.equals(noise(3000, 7))).toBe(true);
  });
});

describe('members in a row', () => {
  it('keep their hard links apart, and their trailer for the end', async () => {
    const linked = (folder: string, text: string): Entry[] => [
      { type: 'directory', path: folder, ...META },
      file(`${folder}/a`, text),
      { type: 'link', path: `${folder}/b`, target: `${folder}/a` },
    ];
    const first = await member(linked('one', '1'), { place: 'one', compression: 'gzip' });
    const second = await member(linked('two', '2'), { place: 'two' });
    const last = await member([], { place: 'end', trailer: true });
    const entries = [...readInitramfs(Buffer.concat([first.bytes, second.bytes, last.bytes]))];
    expect(entries.filter(({ path }) => path === TRAILER)).toEqual([entries.at(-1)]);
    const { nodes, lost } = unpack(entries);
    expect(lost).toEqual([]);
    expect(nodes.get('one/b')?.data.toString()).toBe('1');
    expect(nodes.get('two/b')?.data.toString()).toBe('2');
    expect(nodes.get('two/b')).toBe(nodes.get('two/a'));
  });

  it('may follow a raw archive whose length divides by 4', async () => {
    const { bytes } = await member([file('kernel.bin', 'ucode')], { trailer: true, compression: 'gzip' });
    const raw = gunzipSync(bytes);
    const rest = await member([file('x', 'y')]);
    expect(unpack(readInitramfs(Buffer.concat([raw, rest.bytes]))).nodes.size).toBe(2);
  });

  it.each([
    ['junk', Buffer.from('not an archive')],
    ['a truncated member', undefined],
  ])('are refused by the reader with %s behind them', async (_, junk) => {
    const { bytes } = await member([file('x', noise(1000, 4))]);
    const broken = junk === undefined ? bytes.subarray(0, -5) : Buffer.concat([bytes, junk]);
    expect(() => [...readInitramfs(broken)]).toThrow(expect.objectContaining({ code: 'MalformedArchive' }));
  });
});
