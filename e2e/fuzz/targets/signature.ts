import { generateKeyPairSync, sign } from 'node:crypto';
import { OciError } from '../../../operator/oci/errors.ts';
import { parseReference } from '../../../operator/oci/reference.ts';
import { preparePolicy } from '../../../operator/oci/signatures/policy.ts';
import { verifyImage } from '../../../operator/oci/signatures/verify.ts';
import { type ResolvedImage, sha256Digest } from '../../../operator/oci/types.ts';
import { type FuzzTarget, promised } from '../target.ts';
import { JSON_WORDS } from './inputs.ts';

const digest = sha256Digest('c'.repeat(64));
const image: ResolvedImage = {
  reference: parseReference('registry.example/image:1'),
  digest,
  config: { architecture: 'amd64', os: 'linux', config: {}, diffIds: [] },
  layers: [],
};
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const policy = preparePolicy({ publicKeys: [publicKey.export({ type: 'spki', format: 'pem' }).toString()] });
const signed = Buffer.from(
  JSON.stringify({
    critical: {
      type: 'cosign container image signature',
      identity: { 'docker-reference': '' },
      image: { 'docker-manifest-digest': digest },
    },
  }),
);
const signature = sign('sha256', signed, privateKey).toString('base64');

/** A payload, a line feed, and its signature in base64: what was changed must not be believed. */
export const signatureTarget: FuzzTarget = {
  name: 'signature',
  corpus: () => [Buffer.concat([signed, Buffer.from(`\n${signature}`)])],
  words: [...JSON_WORDS, '"critical":', '"docker-manifest-digest":', 'sha256:', '\n'],
  expected: (error) => error instanceof OciError && error.code === 'VerificationFailed',
  async parse(input) {
    const end = input.lastIndexOf('\n');
    const payload = input.subarray(0, Math.max(end, 0));
    const annotation = input.toString('utf8', end + 1);
    const layer = {
      mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
      digest,
      size: payload.length,
      annotations: { 'dev.cosignproject.cosign/signature': annotation },
    };
    const manifest = Buffer.from(JSON.stringify({ layers: [layer] }));
    const source = {
      fetchDocument: () =>
        Promise.resolve({ bytes: manifest, digest, contentType: undefined, where: 'input' }),
      listReferrers: () => Promise.resolve([]),
      readBlob: () => Promise.resolve(payload),
    };
    const { form } = await verifyImage(source, image, policy, AbortSignal.timeout(60_000));
    promised(payload.equals(signed), 'what was not signed was believed');
    return form;
  },
};
