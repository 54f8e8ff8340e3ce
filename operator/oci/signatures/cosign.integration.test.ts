import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { file } from '../../../e2e/images/entry.ts';
import { OciLayout } from '../../../e2e/images/oci-layout.ts';
import { pushImage } from '../../../e2e/images/oci-push.ts';
import { writeImage, writeIndex } from '../../../e2e/images/oci-writer.ts';
import { type RegistryService, startRegistry } from '../../../e2e/services/registry.ts';
import { carrySignature } from '../../../e2e/signing/carry.ts';
import { COSIGN_DEADLINE, ISSUER, type SignatureForm, Signer, SUBJECT } from '../../../e2e/signing/signer.ts';
import { RegistryClient } from '../client.ts';
import { parseReference } from '../reference.ts';
import type { ResolvedImage } from '../types.ts';
import { preparePolicy, type VerificationPolicy } from './policy.ts';
import { TestSigstore } from './test-sigstore.ts';
import { type VerifiedSignature, verifyImage } from './verify.ts';

const signal = AbortSignal.timeout(COSIGN_DEADLINE);
const FORMS: readonly SignatureForm[] = ['bundle', 'simple'];

let folder: string;
let registry: RegistryService;
let layout: OciLayout;
let signer: Signer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'signatures-'));
  signer = await Signer.create(signal);
  registry = await startRegistry({}, undefined, signal);
  layout = new OciLayout(join(folder, 'layout'));
}, COSIGN_DEADLINE);

afterAll(async () => {
  await signer[Symbol.asyncDispose]();
  await registry.stop();
  await rm(folder, { recursive: true });
});

/** An image of its own for each test, since signatures stay beside images. */
async function publish(repository: string, indexed = false): Promise<ResolvedImage> {
  const single = await writeImage(layout, { layers: [{ entries: [file('name', repository)] }] });
  const image = indexed ? await writeIndex(layout, [single]) : single;
  await pushImage(image, { registry: registry.host, repository, tag: 'v1' }, signal);
  await using client = new RegistryClient();
  const reference = parseReference(`${registry.host}/${repository}:v1`);
  return client.resolve(reference, { os: 'linux', architecture: 'amd64' }, signal);
}

function pinned({ reference, digest, index }: ResolvedImage): string {
  return `${reference.registry}/${reference.repository}@${index ?? digest}`;
}

async function verify(image: ResolvedImage, policy: VerificationPolicy): Promise<VerifiedSignature> {
  await using client = new RegistryClient();
  return await verifyImage(client, image, preparePolicy(policy), signal);
}

describe('what cosign signed', () => {
  it.each(FORMS)('with a key, as a %s, counts for that key alone', async (form) => {
    const { publicKey } = signer;
    const image = await publish(`key/${form}`, true);
    await expect(verify(image, { publicKeys: [publicKey] })).rejects.toThrow(/has no signature/);
    await signer.signWithKey(pinned(image), form, signal);
    const verified = await verify(image, { publicKeys: [publicKey] });
    expect(verified).toMatchObject({ digest: image.index, form });
    const other = await signer.foreignKey(signal);
    await expect(verify(image, { publicKeys: [other] })).rejects.toMatchObject({
      code: 'VerificationFailed',
      message: expect.stringMatching(/none of the trusted keys/),
    });
  });

  it.each(FORMS)('with an identity, as a %s, counts for that identity alone', async (form) => {
    const image = await publish(`identity/${form}`);
    await signer.signAsIdentity(pinned(image), form, signal);
    const { trustedRoot } = signer;
    const policy = (subject: string): VerificationPolicy => ({
      identities: [{ issuer: ISSUER, subject }],
      trustedRoot,
    });
    expect(await verify(image, policy(SUBJECT))).toEqual({
      digest: image.digest,
      signer: `${SUBJECT} by ${ISSUER}`,
      form,
    });
    await expect(verify(image, policy('https://ci.example/other.yaml'))).rejects.toMatchObject({
      code: 'VerificationFailed',
    });
    const foreign = { ...policy(SUBJECT), trustedRoot: (await TestSigstore.create()).trustedRoot };
    await expect(verify(image, foreign)).rejects.toMatchObject({ code: 'VerificationFailed' });
  });

  it('does not count for another image to which it was carried', async () => {
    const signed = await publish('carried/signed');
    await signer.signWithKey(pinned(signed), 'simple', signal);
    const victim = await publish('carried/victim');
    const place = ({ reference, digest }: ResolvedImage) => ({ ...reference, digest });
    await carrySignature(place(signed), place(victim));
    await expect(verify(victim, { publicKeys: [signer.publicKey] })).rejects.toMatchObject({
      code: 'VerificationFailed',
      message: expect.stringContaining(`it signs "${signed.digest}" and not this image`),
    });
  });
});
