import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImagePublisher, INIT_ENTRIES, moduleEntries } from '../../e2e/build/image-publisher.ts';
import { program } from '../../e2e/images/entry.ts';
import { OciLayout } from '../../e2e/images/oci-layout.ts';
import { type RegistryService, startRegistry } from '../../e2e/services/registry.ts';
import { carrySignature } from '../../e2e/signing/carry.ts';
import { COSIGN_DEADLINE, ISSUER, type SignatureForm, Signer, SUBJECT } from '../../e2e/signing/signer.ts';
import { parseLinuxKit } from '../linuxkit/parse.ts';
import { RegistryClient } from '../oci/client.ts';
import { IMAGE_LIMITS } from '../oci/limits.ts';
import { parseReference } from '../oci/reference.ts';
import type { VerificationPolicy } from '../oci/signatures/policy.ts';
import { TestSigstore } from '../oci/signatures/test-sigstore.ts';
import type { Digest } from '../oci/types.ts';
import { type BuildResult, build } from './pipeline.ts';

const signal = AbortSignal.timeout(COSIGN_DEADLINE);
const FORMS: readonly SignatureForm[] = ['bundle', 'simple'];

let folder: string;
let registry: RegistryService;
let images: ImagePublisher;
let signer: Signer;
let kernel: string;
let init: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verification-'));
  signer = await Signer.create(signal);
  registry = await startRegistry({}, undefined, signal);
  images = new ImagePublisher(new OciLayout(join(folder, 'layout')), registry.host);
  kernel = await images.publishKernel('base/kernel', moduleEntries('6.1.0'));
  init = await images.publish('base/init', [INIT_ENTRIES]);
}, COSIGN_DEADLINE);

afterAll(async () => {
  await signer[Symbol.asyncDispose]();
  await registry.stop();
  await rm(folder, { recursive: true });
});

/** A service's image; another content gives another digest under the same tag. */
function publish(repository: string, content = repository): Promise<string> {
  return images.publish(repository, [[program('bin/service', content)]], { Cmd: ['/bin/service'] });
}

async function digestOf(reference: string): Promise<Digest> {
  await using client = new RegistryClient();
  return await client.resolveDigest(parseReference(reference), signal);
}

async function pinned(reference: string): Promise<string> {
  return `${reference.slice(0, reference.lastIndexOf(':'))}@${await digestOf(reference)}`;
}

/** Builds a machine of one service, whose organisation is trusted; kernel and init are nobody's business. */
function buildWith(service: string, verification?: VerificationPolicy): Promise<BuildResult> {
  const yaml = `
kernel: {image: "${kernel}", cmdline: console=ttyS0}
init: ["${init}"]
services: [{name: web, image: "${service}"}, {name: again, image: "${service}"}]
trust: {org: [team]}
`;
  return buildYaml(yaml, verification);
}

async function buildYaml(yaml: string, verification?: VerificationPolicy): Promise<BuildResult> {
  const workFolder = await mkdtemp(join(folder, 'work-'));
  await using client = new RegistryClient();
  return await build(
    {
      config: parseLinuxKit(yaml, { source: 'test.yml', allowSource: false, requireKernel: true }),
      architecture: 'amd64',
      compression: 'gzip',
      files: [],
      ...(verification === undefined ? {} : { verification }),
    },
    {
      images: client,
      workFolder,
      signal: AbortSignal.timeout(60_000),
      limits: IMAGE_LIMITS,
      report: () => undefined,
      now: () => new Date('2026-01-01T00:00:00Z'),
      engine: 'test/1',
      findResult: async () => undefined,
    },
  );
}

async function expectRefused(
  service: string,
  verification: VerificationPolicy,
  reason: RegExp,
): Promise<void> {
  const digest = await digestOf(service);
  await expect(buildWith(service, verification)).rejects.toMatchObject({
    step: 'verify',
    code: 'InputVerificationFailed',
    message: expect.stringMatching(
      new RegExp(`^services\\[0\\]: image ${service} \\(${digest}.*${reason.source}`),
    ),
  });
}

const byKey = (): VerificationPolicy => ({ publicKeys: [signer.publicKey] });
const byIdentity = (subject = SUBJECT): VerificationPolicy => ({
  identities: [{ issuer: ISSUER, subject }],
  trustedRoot: signer.trustedRoot,
});

describe.each(FORMS)('a build of images that cosign signed as a %s', (form) => {
  it('uses those signed with the key, says so, and asks nothing of others', async () => {
    const service = await publish(`team/key-${form}`);
    await expectRefused(service, byKey(), /has no signature/);
    await signer.signWithKey(await pinned(service), form, signal);

    const { record } = await buildWith(service, byKey());
    const verifiedBy = { digest: await digestOf(service), signer: expect.stringMatching(/^key /), form };
    expect(record.inputs.map((input) => [input.location, input.verifiedBy])).toEqual([
      ['kernel', undefined],
      ['init[0]', undefined],
      ['services[0]', verifiedBy],
      ['services[1]', verifiedBy],
    ]);

    const other = await signer.foreignKey(signal);
    await expectRefused(service, { publicKeys: [other] }, /none of the trusted keys/);
    // One of several is enough; what was built under another policy is another build.
    const both = await buildWith(service, { publicKeys: [other, signer.publicKey] });
    expect(both.record.digest).toBe(record.digest);
    expect(both.record.inputsHash).not.toBe(record.inputsHash);
  });

  it('uses those signed by the identity, and by no other', async () => {
    const service = await publish(`team/identity-${form}`);
    await signer.signAsIdentity(await pinned(service), form, signal);
    const { record } = await buildWith(service, byIdentity());
    expect(record.inputs.at(-1)?.verifiedBy).toEqual({
      digest: await digestOf(service),
      signer: `${SUBJECT} by ${ISSUER}`,
      form,
    });
    await expectRefused(service, byIdentity('https://ci.example/other.yaml'), /certificate identity error/);
    await expectRefused(service, byKey(), /by an identity, but no identities are trusted/);
    const foreign = { ...byIdentity(), trustedRoot: (await TestSigstore.create()).trustedRoot };
    await expectRefused(service, foreign, /its signature does not count/);
  });

  it('does not use what the tag was moved to afterwards', async () => {
    const service = await publish(`team/moved-${form}`);
    await signer.signWithKey(await pinned(service), form, signal);
    const signed = await digestOf(service);
    await publish(`team/moved-${form}`, 'something else');
    expect(await digestOf(service)).not.toBe(signed);
    await expectRefused(service, byKey(), /has no signature/);
    // The one that was signed can still be had by its digest.
    const { record } = await buildWith(`${service}@${signed}`, byKey());
    expect(record.inputs.at(-1)?.verifiedBy?.digest).toBe(signed);
  });
});

it('a signature that was carried to a tampered image does not count', async () => {
  const service = await publish('team/tampered');
  await signer.signWithKey(await pinned(service), 'simple', signal);
  const place = { registry: registry.host, repository: 'team/tampered' };
  const signed = await digestOf(service);
  await publish('team/tampered', 'tampered with');
  await carrySignature({ ...place, digest: signed }, { ...place, digest: await digestOf(service) });
  await expectRefused(service, byKey(), /it signs .* and not this image/);
});

it(
  'the example of signed images is built once all of them are signed',
  async () => {
    const example = join(import.meta.dirname, '../../examples/linuxkit/signed.yml');
    const yaml = (await readFile(example, 'utf8')).replaceAll('127.0.0.1:5000/', `${registry.host}/`);
    const references = [...yaml.matchAll(/(?:image: |- )(\S+\/linuxkit\/\S+)/g)].map(
      ([, reference = '']) => reference,
    );
    for (const reference of references) {
      const [, repository = '', tag = ''] = /^[^/]+\/(.*):(.*)$/.exec(reference) ?? [];
      if (repository.endsWith('/kernel'))
        await images.publishKernel(repository, moduleEntries('6.1.0'), [], tag);
      else await images.publish(repository, [INIT_ENTRIES], {}, tag);
    }
    for (const [at, reference] of references.entries()) {
      await expect(buildYaml(yaml, byKey())).rejects.toMatchObject({
        code: 'InputVerificationFailed',
        message: expect.stringContaining('has no signature') as string,
      });
      // The first is signed in one form, the second in the other, and so on.
      await signer.signWithKey(await pinned(reference), FORMS[at % 2] ?? 'bundle', signal);
    }
    const { record } = await buildYaml(yaml, byKey());
    expect(record.inputs).toHaveLength(references.length);
    for (const { verifiedBy } of record.inputs) expect(verifiedBy?.signer).toMatch(/^key /);
  },
  COSIGN_DEADLINE,
);

it('no image is used when nothing is there to verify it with', async () => {
  const service = await publish('team/any');
  await expect(buildWith(service)).rejects.toMatchObject({
    step: 'verify',
    code: 'InputVerificationFailed',
    message: expect.stringMatching(/team.*no public key and no identity/),
  });
});
