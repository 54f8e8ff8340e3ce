import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { BuildRecord } from '../build/record.ts';
import { sha256Digest } from '../oci/types.ts';
import { MAX_RECORD_BYTES, parseBuildRecord, readBuildRecord } from './build-record.ts';
import type { ObjectReader } from './store.ts';
import { deadline } from './store-contract.ts';

const digest = sha256Digest('a'.repeat(64));
const record: BuildRecord = {
  schema: 'linuxkit.dev/build/v1',
  digest,
  architecture: 'amd64',
  compression: 'zstd',
  created: '2026-11-24T12:00:00Z',
  engine: '0.1.0',
  inputsHash: 'b'.repeat(64),
  inputs: [{ location: 'kernel', reference: 'example.org/kernel:6.12', digest }],
  files: {
    kernel: { size: 1, sha256: 'c'.repeat(64) },
    'initrd.img': {
      size: 2,
      sha256: 'd'.repeat(64),
      uncompressedSize: 3,
      uncompressedSha256: 'e'.repeat(64),
    },
    cmdline: { size: 4, sha256: 'f'.repeat(64) },
  },
  cmdline: 'console=ttyS0',
  bootImage: { digest, manifest: '{}', config: '{}', layers: [{ file: 'kernel', digest, size: 3072 }] },
};

describe('parseBuildRecord', () => {
  it('returns a record as it was written', () => {
    expect(parseBuildRecord(JSON.stringify(record), digest)).toEqual({ record });
  });

  it('drops fields that it does not know, so that an older reader understands a newer writer', () => {
    expect(parseBuildRecord(JSON.stringify({ ...record, volumes: [] }), digest)).toEqual({ record });
  });

  it.each([
    ['', 'it is not JSON'],
    ['null', 'the record:'],
    [JSON.stringify({ ...record, schema: 'linuxkit.dev/build/v2' }), 'schema:'],
    [JSON.stringify({ ...record, digest: 'sha256:zz' }), 'digest: must be sha256: and 64 hex digits'],
    [JSON.stringify({ ...record, digest: sha256Digest('0'.repeat(64)) }), 'it is the record of sha256:0000'],
    [
      JSON.stringify({ ...record, files: { ...record.files, kernel: { size: -1, sha256: 'c'.repeat(64) } } }),
      'files.kernel.size:',
    ],
    [
      JSON.stringify({
        ...record,
        bootImage: { ...record.bootImage, layers: [{ file: '../x', digest, size: 1 }] },
      }),
      'bootImage.layers.0.file:',
    ],
  ])('says what is wrong with %s', (json, problem) => {
    const parsed = parseBuildRecord(json, digest);
    expect('problem' in parsed && parsed.problem).toContain(problem);
  });
});

describe('readBuildRecord', () => {
  const artifact = { namespace: 'tenant', image: 'web', digest };
  const signal = deadline();

  it('does not read a record beyond the limit', async () => {
    const body = Readable.from([Buffer.alloc(1)]);
    const store: ObjectReader = {
      head: async () => undefined,
      get: async (key) => ({ info: { key, size: MAX_RECORD_BYTES + 1 }, body }),
    };
    await expect(readBuildRecord(store, artifact, { signal })).rejects.toMatchObject({
      code: 'InvalidRecord',
    });
    expect(body.destroyed).toBe(true);
  });

  it('gives the record with size and sum of what it was read from', async () => {
    const json = `${JSON.stringify(record)}\n`;
    const store: ObjectReader = {
      head: async () => undefined,
      get: async (key) => ({ info: { key, size: json.length }, body: Readable.from([Buffer.from(json)]) }),
    };
    const sha256 = createHash('sha256').update(json).digest('hex');
    expect(await readBuildRecord(store, artifact, { signal })).toEqual({
      record,
      file: { size: json.length, sha256 },
    });
  });

  it('looks where the layout says and names the object in its error', async () => {
    const store: ObjectReader = {
      head: async () => undefined,
      get: async (key) => ({ info: { key, size: 2 }, body: Readable.from([Buffer.from('{}')]) }),
    };
    await expect(readBuildRecord(store, artifact, { signal })).rejects.toThrow(
      `tenant/web/sha256-${'a'.repeat(64)}/build.json: schema:`,
    );
  });
});
