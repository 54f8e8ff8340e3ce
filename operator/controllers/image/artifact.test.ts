import { expect, test } from 'vitest';
import type { BuildRecord } from '../../build/record.ts';
import { sha256Digest } from '../../oci/types.ts';
import { artifactOf } from './artifact.ts';
import { imageWith } from './image-under-test.ts';

const digest = sha256Digest('a'.repeat(64));
const file = { size: 1, sha256: 'b'.repeat(64) };
const signed = (signer: string) => ({ verifiedBy: { digest, signer, form: 'bundle' as const } });
const input = (location: string) => ({ location, reference: 'example/app:1', digest });

const RECORD: BuildRecord = {
  schema: 'linuxkit.dev/build/v1',
  digest,
  architecture: 'amd64',
  compression: 'zstd',
  created: '2026-01-01T00:00:00Z',
  engine: 'test',
  inputsHash: 'c'.repeat(64),
  inputs: [
    input('kernel'),
    { ...input('init[0]'), ...signed('key of old') },
    { ...input('services[0]'), ...signed('key of old') },
    // A record is what a tenant's pod wrote.
    input('constructor'),
  ],
  files: {
    kernel: file,
    'initrd.img': { ...file, uncompressedSize: 1, uncompressedSha256: file.sha256 },
    cmdline: file,
  },
  cmdline: 'quiet',
  bootImage: { digest, manifest: '', config: '', layers: [] },
};

test.each([
  ['the record', undefined, [undefined, 'key of old', 'key of old', undefined]],
  [
    'the build that found it again, where that says more',
    { kernel: 'key of new', 'services[0]': 'key of new' },
    ['key of new', 'key of old', 'key of new', undefined],
  ],
])('who signed an input is told by %s', (_, verifiedBy, expected) => {
  const build = { hash: 'd'.repeat(64), reason: 'SpecChanged', verifiedBy } as const;
  const { inputs } = artifactOf({ namespace: 'n', name: 'web' }, RECORD, build);
  expect(inputs.map((each) => each.verifiedBy)).toEqual(expected);
});

test('a signer has no more room than the schema of the status gives', () => {
  const record = { ...RECORD, inputs: [{ ...input('kernel'), ...signed('s'.repeat(4000)) }] };
  const { inputs } = artifactOf({ namespace: 'n', name: 'web' }, record, { hash: '', reason: 'Created' });
  expect(inputs[0]?.verifiedBy).toHaveLength(512);
});

const REPOSITORY = 'registry.example:5000/team/boot';

test.each([
  ['by boot registries', undefined, { reference: `n/web@${digest}`, digest }],
  [
    'by the registry that the spec names',
    { repository: REPOSITORY, pushSecretName: 'push' },
    { reference: `${REPOSITORY}@${digest}`, digest, repository: REPOSITORY },
  ],
  [
    'by one that asks for a Secret',
    { repository: REPOSITORY, pullSecretName: 'pull' },
    { reference: `${REPOSITORY}@${digest}`, digest, repository: REPOSITORY, pullSecretName: 'pull' },
  ],
])('the boot image is given out %s', (_, bootImage, expected) => {
  const { spec } = imageWith({ spec: bootImage === undefined ? {} : { bootImage } });
  const build = { hash: '', reason: 'Created', bootImage: spec.bootImage } as const;
  expect(artifactOf({ namespace: 'n', name: 'web' }, RECORD, build).bootImage).toEqual(expected);
});

test('what tells of the artifact is told of where it is stored', () => {
  const told = { size: 3, sha256: 'e'.repeat(64) };
  const files = { ...RECORD.files, 'sbom.spdx.json': told, 'provenance.json': told };
  const image = { namespace: 'n', name: 'web' };
  const build = { hash: '', reason: 'Created' } as const;
  const key = (name: string) => `n/web/${digest.replace(':', '-')}/${name}`;
  expect(artifactOf(image, { ...RECORD, files }, { ...build, recordFile: told })).toMatchObject({
    sbom: { key: key('sbom.spdx.json'), ...told },
    provenance: { key: key('provenance.json'), ...told },
    record: { key: key('build.json'), ...told },
  });
  for (const name of ['sbom', 'provenance', 'record'])
    expect(artifactOf(image, RECORD, build)).not.toHaveProperty(name);
});
