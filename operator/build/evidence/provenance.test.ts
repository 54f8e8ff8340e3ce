import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { parseLinuxKit } from '../../linuxkit/parse.ts';
import { digest, hex, RECORD, resolvedImage } from './examples.ts';
import { formatProvenance, type ProvenanceInput, provenanceStatement } from './provenance.ts';

const YAML = `
kernel: {image: linuxkit/kernel:6.1, cmdline: console=ttyS0}
init: [linuxkit/init:1]
services:
  - {name: web, image: nginx, env: [A=b]}
files:
  - {path: etc/secret, contents: "very secret"}
  - {path: etc/folder, directory: true}
`;
const INPUT: ProvenanceInput = {
  config: parseLinuxKit(YAML, { source: 'test.yml', allowSource: false }),
  architecture: 'amd64',
  compression: 'auto',
  images: [
    { location: 'kernel', reference: 'linuxkit/kernel:6.1', image: resolvedImage('linuxkit/kernel:6.1') },
    {
      location: 'services[0]',
      reference: 'nginx',
      image: resolvedImage('nginx', { index: digest('index') }),
    },
  ],
  files: [{ path: 'etc/motd', mode: 0o600, sum: { size: 5, sha256: hex('hello') } }],
};

const sha256 = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const resource = z.strictObject({
  name: z.string().min(1),
  uri: z.string().startsWith('pkg:oci/').optional(),
  digest: sha256,
  annotations: z.record(z.string(), z.unknown()).optional(),
});
/** in-toto Statement v1 and SLSA provenance v1, in the parts that are written here. */
const valid = z.strictObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z.array(resource).min(1),
  predicateType: z.literal('https://slsa.dev/provenance/v1'),
  predicate: z.strictObject({
    buildDefinition: z.strictObject({
      buildType: z.url(),
      externalParameters: z.record(z.string(), z.unknown()),
      internalParameters: z.record(z.string(), z.unknown()),
      resolvedDependencies: z.array(resource),
    }),
    runDetails: z.strictObject({
      builder: z.strictObject({ id: z.url(), version: z.record(z.string(), z.string()) }),
      metadata: z.strictObject({ invocationId: z.string() }),
    }),
  }),
});

describe('the provenance of an artifact', () => {
  const text = formatProvenance(provenanceStatement(RECORD, INPUT)).toString();
  const statement = valid.parse(JSON.parse(text));
  const { buildDefinition, runDetails } = statement.predicate;

  it('is about its files', () => {
    expect(statement.subject).toEqual(
      (['kernel', 'initrd.img', 'cmdline'] as const).map((name) => ({
        name,
        digest: { sha256: RECORD.files[name].sha256 },
      })),
    );
  });

  it('names everything that went into it, as it was resolved', () => {
    const [kernel, service] = INPUT.images;
    expect(buildDefinition.resolvedDependencies).toEqual([
      {
        name: 'kernel',
        uri: `pkg:oci/kernel@${kernel?.image.digest}?arch=amd64&repository_url=docker.io%2Flinuxkit%2Fkernel&tag=6.1`,
        digest: { sha256: kernel?.image.digest.slice(7) },
        annotations: { reference: 'linuxkit/kernel:6.1' },
      },
      {
        name: 'services[0]',
        uri: `pkg:oci/nginx@${service?.image.digest}?arch=amd64&repository_url=docker.io%2Flibrary%2Fnginx`,
        digest: { sha256: service?.image.digest.slice(7) },
        annotations: { reference: 'nginx', index: digest('index') },
      },
      { name: 'files:etc/motd', digest: { sha256: hex('hello') }, annotations: { mode: '0600' } },
    ]);
  });

  it('names engine and parameters', () => {
    expect(runDetails).toEqual({
      builder: { id: 'https://linuxkit.dev/builder/v1', version: { 'linuxkit-operator': '1.2.3' } },
      metadata: { invocationId: RECORD.inputsHash },
    });
    expect(buildDefinition.externalParameters).toMatchObject({
      architecture: 'amd64',
      compression: 'auto',
      config: { kernel: { cmdline: 'console=ttyS0' }, services: [{ name: 'web', env: ['A=b'] }] },
    });
    expect(buildDefinition.internalParameters).toMatchObject({
      compression: 'zstd',
      artifact: RECORD.digest,
    });
  });

  it('tells of what is in files only their sums', () => {
    expect(text).not.toContain('very secret');
    expect(buildDefinition.externalParameters['config']).toMatchObject({
      files: [
        { path: 'etc/secret', contents: { size: 11, sha256: hex('very secret') } },
        { path: 'etc/folder', directory: true },
      ],
    });
  });

  it('says whose signatures counted, and whose were found', () => {
    const verifiedBy = { digest: digest('index'), signer: 'key 0123456789abcdef', form: 'bundle' } as const;
    const signed = {
      ...INPUT,
      images: INPUT.images.map((image) => ({ ...image, verifiedBy })),
      verification: {
        publicKeys: ['a key'],
        identities: [{ issuer: 'https://issuer.example', subject: 'a@b.example' }],
        trustedRoot: 'a root',
      },
    };
    const { predicate } = valid.parse(provenanceStatement(RECORD, signed));
    expect(predicate.buildDefinition.externalParameters['verification']).toEqual({
      publicKeys: [{ size: 5, sha256: hex('a key') }],
      identities: signed.verification.identities,
      trustedRoot: { size: 6, sha256: hex('a root') },
    });
    expect(predicate.buildDefinition.resolvedDependencies[0]?.annotations).toMatchObject({ verifiedBy });
  });

  it('is the same for the same inputs, whenever it was made', () => {
    const later = { ...RECORD, created: '2030-01-01T00:00:00Z' };
    expect(formatProvenance(provenanceStatement(later, INPUT)).toString()).toBe(text);
  });
});
