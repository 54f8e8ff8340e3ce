import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { BuildRecord } from '../../build/record.ts';
import { sha256Digest } from '../../oci/types.ts';
import { type ObjectInfo, type ObjectReader, StorageError } from '../../storage/store.ts';
import { verifyArtifact } from './verify-artifact.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const digest = sha256Digest(sha256('artifact'));
const place = { namespace: 'n', image: 'web', digest };
const folder = `n/web/${digest.replace(':', '-')}/`;
const layer = sha256Digest(sha256('layer'));
const manifest = JSON.stringify({ layers: [{ digest: layer }] });
const file = (text: string) => ({ size: text.length, sha256: sha256(text) });
const record: BuildRecord = {
  schema: 'linuxkit.dev/build/v1',
  digest,
  architecture: 'amd64',
  compression: 'gzip',
  created: '2026-01-01T00:00:00Z',
  engine: 'test',
  inputsHash: 'x',
  inputs: [],
  files: {
    kernel: file('k'),
    'initrd.img': { ...file('i'), uncompressedSize: 1, uncompressedSha256: sha256('i') },
    cmdline: file('c'),
  },
  cmdline: 'c',
  bootImage: {
    digest: sha256Digest(sha256(manifest)),
    manifest,
    config: '{}',
    layers: [{ file: 'kernel', digest: layer, size: 1 }],
  },
};

/** Storage that holds these texts; `failing` is thrown at whatever is asked. */
function holding(
  texts: Readonly<Record<string, string>>,
  infos: Readonly<Record<string, Partial<ObjectInfo>>> = {},
  failing?: Error,
): ObjectReader {
  const info = (key: string): ObjectInfo | undefined => {
    if (failing !== undefined) throw failing;
    const name = key.slice(folder.length);
    const text = texts[name];
    return text === undefined ? undefined : { key, ...file(text), ...infos[name] };
  };
  return {
    head: async (key) => info(key),
    get: async (key) => {
      const found = info(key);
      if (found === undefined) throw new StorageError('ObjectNotFound', key);
      return { info: found, body: Readable.from([texts[key.slice(folder.length)] ?? '']) };
    },
  };
}

const text = JSON.stringify(record);
const whole = { kernel: 'k', 'initrd.img': 'i', cmdline: 'c', 'build.json': text };
const changed = (change: object): Readonly<Record<string, string>> => ({
  ...whole,
  'build.json': JSON.stringify({ ...record, ...change }),
});
const look = (store: ObjectReader, architecture = 'amd64') =>
  verifyArtifact(store, place, architecture, { signal: AbortSignal.timeout(5_000) });

test('an artifact that is what it says is taken', async () => {
  expect(await look(holding(whole))).toEqual({ kind: 'verified', record, recordFile: file(text) });
});

test.each(['sbom.spdx.json', 'provenance.json'] as const)(
  '%s counts where the record names it',
  async (name) => {
    const files = { ...record.files, [name]: file('evidence') };
    const telling = changed({ files });
    expect(await look(holding({ ...telling, [name]: 'evidence' }))).toMatchObject({
      kind: 'verified',
      record: { files },
    });
    expect(await look(holding(telling))).toMatchObject({
      kind: 'wrong',
      message: expect.stringMatching(new RegExp(`${name} is not there`)) as string,
    });
  },
);

test('without a record there is no artifact', async () => {
  const { 'build.json': _, ...rest } = whole;
  expect(await look(holding(rest))).toEqual({ kind: 'missing' });
});

test.each<[string, ObjectReader, RegExp]>([
  [
    'a missing file',
    holding({ ...whole, kernel: undefined } as unknown as Record<string, string>),
    /kernel is not there/,
  ],
  ['other bytes', holding({ ...whole, cmdline: 'C' }), /cmdline has SHA-256 [0-9a-f]{64}, the record says/],
  ['another size', holding({ ...whole, 'initrd.img': 'longer' }), /has 6 bytes, the record says 1/],
  [
    'bytes that storage did not check',
    holding(whole, { kernel: { sha256: undefined } as unknown as Partial<ObjectInfo> }),
    /not known to storage/,
  ],
  ['a record of another artifact', holding(changed({ digest: layer })), /record of/],
  ['a record that is none', holding({ ...whole, 'build.json': '{}' }), /build\.json/],
  [
    'a manifest with another digest',
    holding(changed({ bootImage: { ...record.bootImage, manifest: '{}' } })),
    /manifest has the digest/,
  ],
  [
    'a layer that the manifest does not name',
    holding(changed({ bootImage: { ...record.bootImage, layers: [{ file: 'kernel', digest, size: 1 }] } })),
    /does not name its layer/,
  ],
])('%s is refused', async (_, store, message) => {
  expect(await look(store)).toEqual({ kind: 'wrong', message: expect.stringMatching(message) });
});

test('one for another architecture is refused', async () => {
  expect(await look(holding(whole), 'arm64')).toMatchObject({
    kind: 'wrong',
    message: expect.stringMatching(/built for amd64, not for arm64/),
  });
});

test('storage that does not answer is no proof of anything', async () => {
  const away = new StorageError('StorageUnavailable', 'connection refused');
  expect(await look(holding(whole, {}, away))).toEqual({
    kind: 'unavailable',
    message: 'connection refused',
  });
});
