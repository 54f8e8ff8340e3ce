import { gunzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { divide } from './archive.ts';
import { arrange } from './arrange.ts';
import type { MemberCompression } from './compressor.ts';
import type { Entry } from './entry.ts';
import { InitramfsError } from './error.ts';
import { deviceOf, writeMember } from './member.ts';
import { readInitramfs } from './reader.ts';

const META = { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
const TREE: readonly Entry[] = [
  { type: 'directory', path: 'dev', ...META },
  { type: 'character', path: 'dev/null', ...META, major: 1, minor: 3 },
  { type: 'symlink', path: 'init', ...META, target: 'dev/null' },
  { type: 'file', path: 'name', ...META, size: 700, content: [Buffer.alloc(700, 'text ')] },
];
/** Bytes that a compressed part may become. */
const LIMIT = 1 << 20;

const archives: Record<string, Buffer> = {};

beforeAll(async () => {
  const [gzip, zstd] = await Promise.all([member('gzip'), member('zstd')]);
  Object.assign(archives, { gzip, zstd, plain: gunzipSync(gzip), several: Buffer.concat([gzip, zstd]) });
});

async function member(compression: MemberCompression): Promise<Buffer> {
  const [run] = divide(arrange(TREE), Number.POSITIVE_INFINITY);
  if (run === undefined) throw new Error('no entries');
  const parts: Buffer[] = [];
  const signal = AbortSignal.timeout(10_000);
  const options = { device: deviceOf(compression), trailer: true, compression, signal };
  await writeMember(run, options, async (bytes) => void parts.push(Buffer.from(bytes)));
  return Buffer.concat(parts);
}

const KINDS = ['gzip', 'zstd', 'plain', 'several'] as const;

test.each(KINDS)('%s: what was written is read', (kind) => {
  const paths = [...readInitramfs(archives[kind] ?? Buffer.alloc(0), LIMIT)].map(({ path }) => path);
  const once = [...TREE.map(({ path }) => path), 'TRAILER!!!'];
  expect(paths).toEqual(kind === 'several' ? [...once, ...once] : once);
});

test.each(KINDS)('%s: whatever happens to its bytes, it is entries or malformed', (kind) => {
  const damage = fc.oneof(
    fc.record({ kind: fc.constant('byte' as const), at: fc.nat(), value: fc.nat(255) }),
    fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
    fc.record({
      kind: fc.constant('insert' as const),
      at: fc.nat(),
      bytes: fc.uint8Array({ maxLength: 16 }),
    }),
  );
  let damaged = 0;
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
      let bytes = Buffer.from(archives[kind] ?? []);
      for (const each of damages) {
        const at = each.at % (bytes.length + 1);
        if (each.kind === 'byte') bytes[Math.min(at, bytes.length - 1)] = each.value;
        else if (each.kind === 'cut') bytes = bytes.subarray(0, at);
        else bytes = Buffer.concat([bytes.subarray(0, at), each.bytes, bytes.subarray(at)]);
      }
      try {
        for (const { path, data } of readInitramfs(bytes, LIMIT)) {
          expect(typeof path).toBe('string');
          expect(data.length).toBeLessThanOrEqual(LIMIT);
        }
      } catch (error) {
        damaged += 1;
        expect(error).toBeInstanceOf(InitramfsError);
        expect(error).toHaveProperty('code', 'MalformedArchive');
      }
    }),
    { numRuns: 400 },
  );
  expect(damaged).toBeGreaterThan(50);
});
