import { isDeepStrictEqual } from 'node:util';
import { OciError, type OciErrorCode } from '../../../operator/oci/errors.ts';
import { flatten } from '../../../operator/oci/flatten.ts';
import type { IndexedLayer } from '../../../operator/oci/layer-index.ts';
import type { Spool } from '../../../operator/oci/spool.ts';
import type { IndexedTarEntry } from '../../../operator/oci/tar/entry.ts';
import { TarIndexer } from '../../../operator/oci/tar/indexer.ts';
import { TAR_LIMITS, type TarLimits } from '../../../operator/oci/tar/limits.ts';
import { readTar } from '../../../operator/oci/tar/read.ts';
import { sha256Digest } from '../../../operator/oci/types.ts';
import type { Random } from '../random.ts';
import { type FuzzTarget, promised } from '../target.ts';
import { ENTRIES, pieces, tar } from './inputs.ts';

const LIMITS: TarLimits = {
  ...TAR_LIMITS,
  maxTarHeaders: 200,
  maxTarRecordBytes: 4096,
  maxTarMetadataBytes: 64 << 10,
};
const WORDS = [
  '../',
  '/',
  '..',
  '.wh.',
  '.wh..wh..opq',
  'ustar\0',
  'SCHILY.xattr.user.x=',
  '30 mtime=1.5\n',
  '12 path=a/b\n',
  '\0',
];

/** The layer below. */
const base = tar(ENTRIES);

const refusals: ReadonlySet<OciErrorCode> = new Set([
  'InvalidTar',
  'InvalidLayer',
  'UnsafePath',
  'LimitExceeded',
]);
const expected = (error: unknown): boolean => error instanceof OciError && refusals.has(error.code);

/** Both readers of archives, which must agree with each other whatever the pieces that the bytes come in. */
export const tarTarget: FuzzTarget = {
  name: 'tar',
  corpus: archives,
  words: WORDS,
  repair: withChecksums,
  expected,
  async parse(input) {
    const indexed = outcome(() => index(input, 4096));
    const torn = outcome(() => index(input, 37));
    promised(isDeepStrictEqual(indexed, torn), 'the index depends on the pieces that the archive came in');
    const read = await outcomeOf(() => readAll(input));
    if ('error' in read || 'error' in indexed) {
      const codes = [read, indexed].map((one) => ('error' in one ? one.error.code : 'none'));
      promised(codes[0] === codes[1], `one reader says ${codes[0]}, the other ${codes[1]}`);
      throw 'error' in read ? read.error : new Error('unreachable');
    }
    promised(
      isDeepStrictEqual(read.value, indexed.value.map(headerOf)),
      'the two readers found other entries',
    );
    return indexed.value.map(({ type }) => type[0]).join('');
  },
};

/** An archive as a layer over another: what comes out is a tree, and inside of its root. */
export const flattenTarget: FuzzTarget = {
  name: 'flatten',
  corpus: archives,
  words: WORDS,
  repair: withChecksums,
  expected,
  async parse(input) {
    const lower = layer(index(await base, 4096), 1);
    const nodes = [...flatten([lower, layer(index(input, 4096), 2)]).nodes()];
    const folders = new Set(['']);
    const seen = new Set<string>();
    for (const { path, type } of nodes) {
      const parts = path.split('/');
      promised(!parts.some((part) => part === '' || part === '.' || part === '..'), `the path ${path}`);
      promised(folders.has(parts.slice(0, -1).join('/')), `no folder comes before ${path}`);
      promised(!seen.has(path), `${path} comes twice`);
      seen.add(path);
      if (type === 'directory') folders.add(path);
    }
    return nodes.map(({ type }) => type[0]).join('');
  },
};

async function archives(): Promise<readonly Buffer[]> {
  return [await tar(ENTRIES), await tar([]), ...(await Promise.all(ENTRIES.map((entry) => tar([entry]))))];
}

function index(bytes: Buffer, size: number): readonly IndexedTarEntry[] {
  const indexer = new TarIndexer('input', LIMITS);
  for (let at = 0; at < bytes.length; at += size) indexer.push(bytes.subarray(at, at + size));
  indexer.end();
  return indexer.entries;
}

function headerOf(entry: IndexedTarEntry): unknown {
  const header: Partial<Record<keyof IndexedTarEntry, unknown>> = { ...entry };
  delete header.offset;
  return header;
}

async function readAll(bytes: Buffer): Promise<readonly unknown[]> {
  const headers: unknown[] = [];
  for await (const { body, ...header } of readTar(pieces(bytes, 1000), 'input', LIMITS)) {
    let size = 0;
    // Every other body is left for the reader to skip.
    if (headers.length % 2 === 0) {
      for await (const chunk of body) size += chunk.length;
      promised(size === header.size, `a body has ${size} bytes, its header says ${header.size}`);
    }
    headers.push(header);
  }
  return headers;
}

type Outcome<T> = { readonly value: T } | { readonly error: OciError };

function outcome<T>(action: () => T): Outcome<T> {
  try {
    return { value: action() };
  } catch (error) {
    if (error instanceof OciError) return { error };
    throw error;
  }
}

async function outcomeOf<T>(action: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await action() };
  } catch (error) {
    if (error instanceof OciError) return { error };
    throw error;
  }
}

function layer(entries: readonly IndexedTarEntry[], number: number): IndexedLayer {
  const digest = sha256Digest(String(number).repeat(64));
  return { digest, diffId: digest, entries, spool: NO_SPOOL };
}

/** A tree is made of headers alone: nothing of a spool is used. */
const NO_SPOOL = {} as Spool;

/** Writes the right checksum into blocks that look like headers. */
function withChecksums(input: Buffer, random: Random): Buffer {
  for (let at = 0; at + 512 <= input.length; at += 512) {
    const block = input.subarray(at, at + 512);
    const header = block.toString('latin1', 257, 262) === 'ustar' || random.oneIn(50);
    if (!header || block.every((byte) => byte === 0)) continue;
    block.fill(' ', 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return input;
}
