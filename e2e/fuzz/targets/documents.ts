import {
  type AttestationSource,
  fetchInputSboms,
  SBOM_LIMITS,
} from '../../../operator/build/evidence/input-sboms.ts';
import { parseSbomStatement } from '../../../operator/build/evidence/sbom-statement.ts';
import { OciError } from '../../../operator/oci/errors.ts';
import { parseImageConfig, parseManifest } from '../../../operator/oci/manifest.ts';
import { parseReference } from '../../../operator/oci/reference.ts';
import { parseDockerConfig } from '../../../operator/oci/registry/docker-config.ts';
import { type Descriptor, type ResolvedImage, sha256Digest } from '../../../operator/oci/types.ts';
import { parseBuildRecord } from '../../../operator/storage/build-record.ts';
import { type FuzzTarget, promised } from '../target.ts';
import { JSON_WORDS, json } from './inputs.ts';
import { examples } from './sound-documents.ts';

const digest = sha256Digest('a'.repeat(64));
const descriptor = (mediaType: string, more: object = {}) => ({ mediaType, digest, size: 7, ...more });
const OCI = 'application/vnd.oci.image';

const isOci = (error: unknown): boolean => error instanceof OciError;

/** Manifests and indexes of both families. */
export const manifestTarget: FuzzTarget = {
  name: 'manifest',
  corpus: () =>
    json(
      {
        schemaVersion: 2,
        mediaType: `${OCI}.manifest.v1+json`,
        config: descriptor(`${OCI}.config.v1+json`),
        layers: [descriptor(`${OCI}.layer.v1.tar+gzip`, { annotations: { a: 'b' } })],
      },
      {
        schemaVersion: 2,
        mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json',
        manifests: [
          descriptor('application/vnd.docker.distribution.manifest.v2+json', {
            platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
          }),
        ],
      },
    ),
  words: [
    ...JSON_WORDS,
    '"manifests":',
    '"layers":',
    '"config":',
    '"digest":',
    '"size":',
    '"mediaType":',
    'sha256:',
  ],
  expected: isOci,
  parse(input) {
    const types = [undefined, `${OCI}.index.v1+json`, `${OCI}.manifest.v1+json; charset=utf-8`];
    const manifest = parseManifest(input, types[input.length % 3], 'input');
    const list = manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers];
    for (const { size } of list) promised(Number.isSafeInteger(size) && size >= 0, `a size of ${size}`);
    return `${manifest.kind} ${list.length}`;
  },
};

/** Configurations of images. */
export const imageConfigTarget: FuzzTarget = {
  name: 'image-config',
  corpus: () =>
    json({
      architecture: 'amd64',
      os: 'linux',
      config: { Entrypoint: ['/bin/sh'], Cmd: null, Env: ['A=b'], WorkingDir: '/', Labels: { a: 'b' } },
      rootfs: { type: 'layers', diff_ids: [digest, digest] },
    }),
  words: [...JSON_WORDS, '"rootfs":', '"diff_ids":', '"Labels":', '"Env":', '"variant":"v8"'],
  expected: isOci,
  parse: (input) => `${parseImageConfig(input, 'input').diffIds.length}`,
};

/** Docker's configuration files and pull secrets. */
export const dockerConfigTarget: FuzzTarget = {
  name: 'docker-config',
  corpus: () =>
    json(
      { auths: { 'https://index.docker.io/v1/': { auth: Buffer.from('user:secret').toString('base64') } } },
      { auths: { '*.example.com/team': { username: 'u', password: 'secret' } }, credHelpers: { a: 'b' } },
      { 'quay.io': { identitytoken: 'secret' } },
    ),
  words: [...JSON_WORDS, '"auth":', '"registrytoken":', '"credsStore":', 'https://', '*.', ':0/'],
  expected: isOci,
  parse(input) {
    const { credentials, helpers } = parseDockerConfig(input.toString('utf8'), 'input');
    return `${credentials.map(({ credential }) => credential.kind).join()} ${helpers.length}`;
  },
};

/** `build.json`, which a tenant's pod has written. */
export const buildRecordTarget: FuzzTarget = {
  name: 'build-record',
  corpus: () => json(examples.record),
  words: [...JSON_WORDS, '"files":', '"bootImage":', '"layers":', 'sha256:'],
  // Whatever is wrong with it is a result.
  expected: () => false,
  parse(input) {
    const parsed = parseBuildRecord(input.toString('utf8'), examples.record.digest);
    return 'record' in parsed ? 'record' : parsed.problem.replaceAll(/\d+/g, '#').slice(0, 100);
  },
};

/** SBOMs that images carry. */
export const sbomTarget: FuzzTarget = {
  name: 'sbom',
  corpus: () => json(examples.statement),
  words: [...JSON_WORDS, '"packages":', '"relationships":', '"SPDXID":', 'SPDXRef-', 'LicenseRef-'],
  expected: () => false,
  parse(input) {
    const parsed = parseSbomStatement(input, examples.record.digest);
    return 'problem' in parsed
      ? parsed.problem.replaceAll(/\d+/g, '#').slice(0, 100)
      : `${parsed.sbom.packages.length}`;
  },
};

/** Manifests of statements about an image, as its index lists them. */
export const attestationTarget: FuzzTarget = {
  name: 'attestation',
  corpus: () =>
    json({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      layers: [
        {
          mediaType: 'application/vnd.in-toto+json',
          digest: examples.record.digest,
          size: 100,
          annotations: { 'in-toto.io/predicate-type': 'https://spdx.dev/Document' },
        },
      ],
    }),
  words: [
    ...JSON_WORDS,
    '"layers":',
    '"annotations":',
    '"in-toto.io/predicate-type":',
    'https://spdx.dev/Document',
  ],
  expected: isOci,
  async parse(input) {
    const { digest } = examples.record;
    const listed: Descriptor = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest,
      size: input.length,
    };
    const image: ResolvedImage = {
      reference: parseReference('registry.example/image:1'),
      digest,
      config: { architecture: 'amd64', os: 'linux', config: {}, diffIds: [] },
      layers: [],
      attestations: [listed],
    };
    let read = 0;
    const source: AttestationSource = {
      fetchDocument: () => Promise.resolve({ bytes: input, where: 'input' }),
      async *openBlob(_, { size }) {
        read += size;
        yield Buffer.from(JSON.stringify(examples.statement));
      },
    };
    const [found] = await fetchInputSboms([image], source, AbortSignal.timeout(60_000));
    promised(read <= SBOM_LIMITS.maxTotalSbomBytes, 'more was read than may be');
    return `${found?.sboms.length} ${found?.problems.join(' ').replaceAll(/\d+/g, '#').slice(0, 100)}`;
  },
};
