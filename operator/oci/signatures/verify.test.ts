import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RegistryClient } from '../client.ts';
import { MEDIA_TYPES } from '../manifest.ts';
import { parseReference } from '../reference.ts';
import { TestRegistry } from '../registry/test-registry.ts';
import type { Digest, ResolvedImage } from '../types.ts';
import { preparePolicy, type VerificationPolicy } from './policy.ts';
import { TestSigstore } from './test-sigstore.ts';
import { preAuthEncoding, type VerifiedSignature, verifyImage } from './verify.ts';

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
const ISSUER = 'https://issuer.example';
const SUBJECT = 'https://ci.example/team/build.yaml';
const never = new AbortController().signal;

let registry: TestRegistry;
let client: RegistryClient;
let image: ResolvedImage;

beforeEach(async () => {
  registry = await TestRegistry.start();
  client = new RegistryClient();
  registry.addImage([Buffer.from('layer')]);
  image = await client.resolve(
    parseReference(`${registry.name}/team/app`),
    { os: 'linux', architecture: 'amd64' },
    never,
  );
});

afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

const p256 = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const ours = p256();
const theirs = p256();

function simplePayload(digest: Digest, type = 'cosign container image signature'): Buffer {
  const critical = {
    identity: { 'docker-reference': '' },
    image: { 'docker-manifest-digest': digest },
    type,
  };
  return Buffer.from(JSON.stringify({ critical, optional: null }));
}

function statement(digest: Digest, predicateType = 'https://sigstore.dev/cosign/sign/v1'): Buffer {
  const subject = [{ digest: { sha256: digest.slice(7) } }];
  return Buffer.from(
    JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject, predicateType, predicate: {} }),
  );
}

/** Signs with the hash that goes with the key, as cosign does. */
function signature(data: Uint8Array, key: KeyObject): Buffer {
  return sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', data, key);
}

function storeManifest(layer: unknown, tag?: string, artifactType?: string) {
  const empty = registry.addBlob(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json');
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType,
    config: empty,
    layers: [layer],
  };
  return registry.addManifest(document, MEDIA_TYPES.ociManifest, ...(tag === undefined ? [] : [tag]));
}

/** As cosign 2 leaves a signature. */
function storeSimple(
  payload: Buffer,
  annotations: Record<string, string>,
  about: Digest = image.digest,
): void {
  const layer = { ...registry.addBlob(payload, SIMPLE_SIGNING), annotations };
  storeManifest(layer, `${about.replace(':', '-')}.sig`);
}

function storeSimpleByKey(payload: Buffer, key: KeyObject, about?: Digest): void {
  storeSimple(
    payload,
    { 'dev.cosignproject.cosign/signature': signature(payload, key).toString('base64') },
    about,
  );
}

/** As cosign 3 leaves a signature in a registry without referrers API. */
function storeBundle(bundle: unknown, about: Digest = image.digest): void {
  const layer = registry.addBlob(Buffer.from(JSON.stringify(bundle)), BUNDLE);
  const manifest = { ...storeManifest(layer, undefined, BUNDLE), artifactType: BUNDLE };
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [manifest] };
  registry.addManifest(index, MEDIA_TYPES.ociIndex, about.replace(':', '-'));
}

function envelope(payload: Buffer, key: KeyObject, payloadType = 'application/vnd.in-toto+json') {
  const sig = signature(preAuthEncoding(payloadType, payload), key).toString('base64');
  return { payload: payload.toString('base64'), payloadType, signatures: [{ sig, keyid: '' }] };
}

function keyBundle(payload: Buffer, key: KeyObject, payloadType?: string): unknown {
  return {
    mediaType: BUNDLE,
    verificationMaterial: { publicKey: { hint: 'any' }, tlogEntries: [] },
    dsseEnvelope: envelope(payload, key, payloadType),
  };
}

function verify(policy: VerificationPolicy, about = image): Promise<VerifiedSignature> {
  return verifyImage(client, about, preparePolicy(policy), never);
}

const byOurKey = { publicKeys: [pem(theirs.publicKey), pem(ours.publicKey)] };

describe('with public keys', () => {
  it.each([
    ['ec P-256', p256()],
    ['ec P-384', generateKeyPairSync('ec', { namedCurve: 'secp384r1' })],
    ['rsa', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ed25519', generateKeyPairSync('ed25519')],
  ])('a simple signature by %s counts', async (_, { publicKey, privateKey }) => {
    storeSimpleByKey(simplePayload(image.digest), privateKey);
    expect(await verify({ publicKeys: [pem(publicKey)] })).toEqual({
      digest: image.digest,
      signer: expect.stringMatching(/^key [0-9a-f]{16}$/),
      form: 'simple',
    });
  });

  it('a bundle under the fallback tag counts', async () => {
    storeBundle(keyBundle(statement(image.digest), ours.privateKey));
    expect(await verify(byOurKey)).toMatchObject({ digest: image.digest, form: 'bundle' });
  });

  it('a bundle that the registry lists counts', async () => {
    const layer = registry.addBlob(
      Buffer.from(JSON.stringify(keyBundle(statement(image.digest), ours.privateKey))),
      BUNDLE,
    );
    const manifest = { ...storeManifest(layer, undefined, BUNDLE), artifactType: BUNDLE };
    const other = {
      ...storeManifest(layer, 'other', 'application/spdx+json'),
      artifactType: 'application/spdx+json',
    };
    registry.misbehave((request, response) => {
      if (!request.url?.includes('/referrers/')) return false;
      expect(request.url).toBe(
        `/v2/team/app/referrers/${image.digest}?artifactType=${encodeURIComponent(BUNDLE)}`,
      );
      response.writeHead(200, { 'content-type': MEDIA_TYPES.ociIndex });
      response.end(
        JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [other, manifest] }),
      );
      return true;
    });
    expect(await verify(byOurKey)).toMatchObject({ form: 'bundle' });
  });

  it('a signature of the index counts, and one of the manifest', async () => {
    const index = registry.addManifest(
      {
        schemaVersion: 2,
        manifests: [{ mediaType: MEDIA_TYPES.ociManifest, digest: image.digest, size: 1 }],
      },
      MEDIA_TYPES.ociIndex,
    ).digest;
    const indexed = { ...image, index };
    await expect(verify(byOurKey, indexed)).rejects.toMatchObject({ code: 'VerificationFailed' });
    storeSimpleByKey(simplePayload(image.digest), ours.privateKey);
    expect((await verify(byOurKey, indexed)).digest).toBe(image.digest);
    storeSimpleByKey(simplePayload(index), ours.privateKey, index);
    expect((await verify(byOurKey, indexed)).digest).toBe(index);
  });

  it('one good signature among bad ones is enough', async () => {
    storeBundle(keyBundle(statement(image.digest), theirs.privateKey));
    storeSimpleByKey(simplePayload(image.digest), ours.privateKey);
    expect((await verify({ publicKeys: [pem(ours.publicKey)] })).form).toBe('simple');
  });

  it.each<[string, () => void, RegExp]>([
    ['no signature', () => undefined, /has no signature; sign it/],
    [
      'another key',
      () => storeSimpleByKey(simplePayload(image.digest), p256().privateKey),
      /none of the trusted keys/,
    ],
    [
      'another image',
      () => storeSimpleByKey(simplePayload(`sha256:${'0'.repeat(64)}` as Digest), ours.privateKey),
      /it signs "sha256:0{64}" and not this image/,
    ],
    [
      'another type',
      () => storeSimpleByKey(simplePayload(image.digest, 'x'), ours.privateKey),
      /not an image signature/,
    ],
    ['no JSON', () => storeSimpleByKey(Buffer.from('x'), ours.privateKey), /not an image signature/],
    [
      'no signature in it',
      () => storeSimple(simplePayload(image.digest), {}),
      /no signature in its annotations/,
    ],
    [
      'a bundle by another key',
      () => storeBundle(keyBundle(statement(image.digest), p256().privateKey)),
      /none of the trusted keys/,
    ],
    [
      'a bundle of another image',
      () => storeBundle(keyBundle(statement(`sha256:${'0'.repeat(64)}` as Digest), ours.privateKey)),
      /not this image/,
    ],
    [
      'a bundle of an SBOM',
      () => storeBundle(keyBundle(statement(image.digest, 'https://spdx.dev/Document'), ours.privateKey)),
      /of type "https:\/\/spdx.dev\/Document" and not a signature/,
    ],
    [
      'a bundle of something else',
      () => storeBundle(keyBundle(statement(image.digest), ours.privateKey, 'text/plain')),
      /one signed in-toto statement/,
    ],
    ['a damaged bundle', () => storeBundle({ mediaType: BUNDLE }), /no sigstore bundle/],
  ])('%s does not', async (_, store, reason) => {
    store();
    await expect(verify(byOurKey)).rejects.toMatchObject({
      code: 'VerificationFailed',
      message: expect.stringMatching(reason),
    });
    await expect(verify(byOurKey)).rejects.toThrow(`image ${registry.name}/team/app (${image.digest})`);
  });

  it('a registry that fails is no missing signature', async () => {
    registry.misbehave((request, response) => {
      if (!request.url?.endsWith('.sig')) return false;
      response.writeHead(403).end();
      return true;
    });
    await expect(verify(byOurKey)).rejects.toMatchObject({ code: 'RegistryUnauthorized' });
  });

  it('more signatures than anybody leaves are refused', async () => {
    const payload = simplePayload(image.digest);
    const layer = { ...registry.addBlob(payload, SIMPLE_SIGNING), annotations: {} };
    const document = { schemaVersion: 2, layers: Array.from({ length: 65 }, () => layer) };
    registry.addManifest(document, MEDIA_TYPES.ociManifest, `${image.digest.replace(':', '-')}.sig`);
    await expect(verify(byOurKey)).rejects.toThrow(/MAX_SIGNATURES/);
  });
});

describe('with identities', () => {
  let sigstore: TestSigstore;
  let certificate: Buffer;
  let trustedRoot: string;
  const signer = p256();

  beforeAll(async () => {
    sigstore = await TestSigstore.create();
    trustedRoot = sigstore.trustedRoot;
    const der = signer.publicKey.export({ type: 'spki', format: 'der' });
    const issued = await sigstore.authority.issueCertificate({
      publicKey: Uint8Array.from(der),
      subjectAltName: SUBJECT,
      extensions: [{ oid: '1.3.6.1.4.1.57264.1.8', value: ISSUER }],
    });
    certificate = Buffer.from(issued.buffer, issued.byteOffset, issued.byteLength);
  });

  const certificatePem = (): string =>
    `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

  async function storeKeylessSimple(payload: Buffer, logged = payload): Promise<void> {
    const made = signature(payload, signer.privateKey).toString('base64');
    const { body, integratedTime, logID, logIndex, verification } = await sigstore.log({
      apiVersion: '0.0.1',
      kind: 'hashedrekord',
      spec: {
        data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(logged).digest('hex') } },
        signature: {
          content: made,
          publicKey: { content: Buffer.from(certificatePem()).toString('base64') },
        },
      },
    });
    storeSimple(payload, {
      'dev.cosignproject.cosign/signature': made,
      'dev.sigstore.cosign/certificate': certificatePem(),
      'dev.sigstore.cosign/bundle': JSON.stringify({
        SignedEntryTimestamp: verification.signedEntryTimestamp,
        Payload: { body, integratedTime, logIndex, logID },
      }),
    });
  }

  async function storeKeylessBundle(payload: Buffer, withLog = true): Promise<void> {
    const dsseEnvelope = envelope(payload, signer.privateKey);
    const { body, integratedTime, logID, logIndex, verification } = await sigstore.log({
      apiVersion: '0.0.1',
      kind: 'dsse',
      spec: {
        envelopeHash: {
          algorithm: 'sha256',
          value: createHash('sha256').update(JSON.stringify(dsseEnvelope)).digest('hex'),
        },
        payloadHash: { algorithm: 'sha256', value: createHash('sha256').update(payload).digest('hex') },
        signatures: [
          {
            signature: dsseEnvelope.signatures[0]?.sig,
            verifier: Buffer.from(certificatePem()).toString('base64'),
          },
        ],
      },
    });
    const { inclusionProof, signedEntryTimestamp } = verification;
    const entry = {
      logIndex: String(logIndex),
      logId: { keyId: Buffer.from(logID, 'hex').toString('base64') },
      kindVersion: { kind: 'dsse', version: '0.0.1' },
      integratedTime: String(integratedTime),
      inclusionPromise: { signedEntryTimestamp },
      inclusionProof: {
        logIndex: String(inclusionProof.logIndex),
        rootHash: Buffer.from(inclusionProof.rootHash, 'hex').toString('base64'),
        treeSize: String(inclusionProof.treeSize),
        hashes: [],
        checkpoint: { envelope: inclusionProof.checkpoint },
      },
      canonicalizedBody: body,
    };
    storeBundle({
      mediaType: BUNDLE,
      verificationMaterial: {
        certificate: { rawBytes: certificate.toString('base64') },
        tlogEntries: withLog ? [entry] : [],
      },
      dsseEnvelope,
    });
  }

  const identity = (subject: string = SUBJECT, issuer = ISSUER): VerificationPolicy => ({
    identities: [{ issuer, subject }],
    trustedRoot,
  });

  it.each([
    ['simple', () => storeKeylessSimple(simplePayload(image.digest))],
    ['bundle', () => storeKeylessBundle(statement(image.digest))],
  ])('a %s signature counts', async (form, store) => {
    await store();
    expect(await verify(identity())).toEqual({
      digest: image.digest,
      signer: `${SUBJECT} by ${ISSUER}`,
      form,
    });
    const pattern = {
      identities: [{ issuerPattern: 'https://.*\\.example', subjectPattern: 'https://ci\\.example/team/.*' }],
      trustedRoot,
    };
    expect(await verify(pattern)).toMatchObject({ form, signer: `${SUBJECT} by ${ISSUER}` });
  });

  it.each<[string, () => Promise<void>, () => VerificationPolicy, RegExp]>([
    [
      'another subject',
      () => storeKeylessBundle(statement(image.digest)),
      () => identity('https://ci.example/team'),
      /certificate identity error/,
    ],
    [
      'part of a pattern',
      () => storeKeylessBundle(statement(image.digest)),
      () => ({ identities: [{ issuer: ISSUER, subjectPattern: 'ci.example' }], trustedRoot }),
      /certificate identity error/,
    ],
    [
      'a subject that only looks alike',
      () => storeKeylessBundle(statement(image.digest)),
      () => identity(SUBJECT.replace('.', 'x')),
      /certificate identity error/,
    ],
    [
      'another issuer',
      () => storeKeylessSimple(simplePayload(image.digest)),
      () => identity(SUBJECT, 'https://other.example'),
      /issuer of its certificate is "https:\/\/issuer\.example"/,
    ],
    [
      'part of a pattern of issuers',
      () => storeKeylessBundle(statement(image.digest)),
      () => ({ identities: [{ issuerPattern: 'issuer', subject: SUBJECT }], trustedRoot }),
      /issuer of its certificate/,
    ],
    [
      'another image',
      () => storeKeylessBundle(statement(`sha256:${'0'.repeat(64)}` as Digest)),
      identity,
      /not this image/,
    ],
    [
      'no entry in the log',
      () => storeKeylessBundle(statement(image.digest), false),
      identity,
      /timestamp|tlog/,
    ],
    [
      'the log entry of another signature',
      () => storeKeylessSimple(simplePayload(image.digest), Buffer.from('other')),
      identity,
      /body|hash|mismatch/i,
    ],
    [
      'keys alone',
      () => storeKeylessBundle(statement(image.digest)),
      () => byOurKey,
      /by an identity, but no identities are trusted/,
    ],
    [
      'a signature by a key',
      async () => storeSimpleByKey(simplePayload(image.digest), ours.privateKey),
      identity,
      /by a key, but no keys are trusted/,
    ],
  ])('not with %s', async (_, store, policy, reason) => {
    await store();
    await expect(verify(policy())).rejects.toMatchObject({
      code: 'VerificationFailed',
      message: expect.stringMatching(reason),
    });
  });

  it('not with another root of trust', async () => {
    await storeKeylessBundle(statement(image.digest));
    const other = await TestSigstore.create();
    const policy = { identities: [{ issuer: ISSUER, subject: SUBJECT }], trustedRoot: other.trustedRoot };
    await expect(verify(policy)).rejects.toMatchObject({ code: 'VerificationFailed' });
  });
});

describe('behind a mirror, the registry itself out of reach', () => {
  const retry = { attempts: 1, firstDelay: 0, maxDelay: 0, maxRetryAfter: 0 };

  async function verifyMirrored(): Promise<VerifiedSignature> {
    const mirrors = new Map([['registry.invalid', [registry.name]]]);
    await using mirrored = new RegistryClient({ mirrors, retry });
    const reference = parseReference('registry.invalid/team/app');
    const found = await mirrored.resolve(reference, { os: 'linux', architecture: 'amd64' }, never);
    return await verifyImage(mirrored, found, preparePolicy(byOurKey), never);
  }

  it.each([
    ['simple', () => storeSimpleByKey(simplePayload(image.digest), ours.privateKey)],
    ['bundle', () => storeBundle(keyBundle(statement(image.digest), ours.privateKey))],
  ])('a %s signature that the mirror has counts', async (form, store) => {
    store();
    expect(await verifyMirrored()).toMatchObject({ digest: image.digest, form });
  });

  it.each([
    ['none', () => undefined],
    [
      'a foreign one',
      () => storeSimpleByKey(simplePayload(image.digest), generateKeyPairSync('ed25519').privateKey),
    ],
  ])('with %s it is not known whether there is a signature that counts', async (_, store) => {
    store();
    await expect(verifyMirrored()).rejects.toMatchObject({ code: 'RegistryUnreachable' });
  });
});

describe('preparePolicy', () => {
  it.each<[VerificationPolicy, RegExp]>([
    [{}, /neither a public key nor an identity/],
    [{ publicKeys: ['x'] }, /public key 1 is no PEM/],
    [
      { publicKeys: ['-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'] },
      /public key 1 cannot be read/,
    ],
    [{ publicKeys: [pem(generateKeyPairSync('x25519').publicKey)] }, /of type x25519/],
    [{ identities: [{ issuer: 'i', subject: 's' }] }, /need a trusted root/],
    [{ identities: [{ issuer: 'i' }], trustedRoot: '{}' }, /one of subject and subjectPattern/],
    [
      { identities: [{ subject: 's' }], trustedRoot: '{}' },
      /identity 1 must have one of issuer and issuerPattern/,
    ],
    [{ identities: [{ issuer: '', subject: 's' }], trustedRoot: '{}' }, /empty issuer/],
    [{ identities: [{ issuerPattern: '', subject: 's' }], trustedRoot: '{}' }, /empty issuer/],
    [
      { identities: [{ issuer: 'i', subject: 's', subjectPattern: 's' }], trustedRoot: '{}' },
      /one of subject and subjectPattern/,
    ],
    [{ identities: [{ issuer: 'i', subjectPattern: '(' }], trustedRoot: '{}' }, /no regular expression/],
    [{ identities: [{ issuer: 'i', subject: 's' }], trustedRoot: 'x' }, /trusted root cannot be read/],
    [{ identities: [{ issuer: 'i', subject: 's' }], trustedRoot: '{}' }, /no certificate authority/],
  ])('refuses %j', (policy, reason) => {
    expect(() => preparePolicy(policy)).toThrow(
      expect.objectContaining({ code: 'InvalidPolicy', message: expect.stringMatching(reason) }),
    );
  });

  it('reads several keys of one text', () => {
    expect(preparePolicy({ publicKeys: [pem(ours.publicKey) + pem(theirs.publicKey)] }).keys.length).toBe(2);
  });
});
