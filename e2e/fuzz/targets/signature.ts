import { generateKeyPairSync, sign } from 'node:crypto';
import { OciError } from '../../../operator/oci/errors.ts';
import { parseReference } from '../../../operator/oci/reference.ts';
import type { SignatureSource } from '../../../operator/oci/signatures/discover.ts';
import { preparePolicy } from '../../../operator/oci/signatures/policy.ts';
import { preAuthEncoding, verifyImage } from '../../../operator/oci/signatures/verify.ts';
import { type Descriptor, type ResolvedImage, sha256Digest } from '../../../operator/oci/types.ts';
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

/** A registry that has one manifest, with one layer, for whatever it is asked. */
function sourceOf(manifest: Buffer, layer: Buffer, referrers: readonly Descriptor[]): SignatureSource {
  return {
    fetchDocument: () => Promise.resolve({ bytes: manifest, digest, contentType: undefined, where: 'input' }),
    listReferrers: () => Promise.resolve(referrers),
    readBlob: () => Promise.resolve(layer),
  };
}

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
    const source = sourceOf(manifest, payload, []);
    const { form } = await verifyImage(source, image, policy, AbortSignal.timeout(60_000));
    promised(payload.equals(signed), 'what was not signed was believed');
    return form;
  },
};

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
const statement = Buffer.from(
  JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ digest: { sha256: digest.slice('sha256:'.length) } }],
    predicateType: 'https://sigstore.dev/cosign/sign/v1',
    predicate: {},
  }),
);
const soundBundle = Buffer.from(
  JSON.stringify({
    mediaType: BUNDLE,
    verificationMaterial: { publicKey: { hint: 'any' }, tlogEntries: [] },
    dsseEnvelope: {
      payload: statement.toString('base64'),
      payloadType: PAYLOAD_TYPE,
      signatures: [
        { sig: sign('sha256', preAuthEncoding(PAYLOAD_TYPE, statement), privateKey).toString('base64') },
      ],
    },
  }),
);

/** A sigstore bundle that refers to the image: whatever is changed around it, only what was signed is believed. */
export const bundleTarget: FuzzTarget = {
  name: 'bundle',
  corpus: () => [soundBundle],
  words: [
    ...JSON_WORDS,
    '"dsseEnvelope":',
    '"messageSignature":',
    '"verificationMaterial":',
    '"x509CertificateChain":',
    '"tlogEntries":',
    '"signatures":',
    '"payload":',
  ],
  expected: (error) => error instanceof OciError && error.code === 'VerificationFailed',
  async parse(input) {
    const layer = { mediaType: BUNDLE, digest, size: input.length };
    const manifest = Buffer.from(JSON.stringify({ layers: [layer] }));
    const referrer: Descriptor = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest,
      size: manifest.length,
    };
    const source = sourceOf(manifest, input, [referrer]);
    const { form } = await verifyImage(source, image, policy, AbortSignal.timeout(60_000));
    const { dsseEnvelope } = JSON.parse(input.toString('utf8')) as { dsseEnvelope?: { payload?: unknown } };
    const payload = Buffer.from(String(dsseEnvelope?.payload), 'base64');
    promised(payload.equals(statement), 'what was not signed was believed');
    return form;
  },
};
