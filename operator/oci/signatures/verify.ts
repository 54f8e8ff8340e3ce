import { type KeyObject, verify as verifyBytes } from 'node:crypto';
import { type Bundle, isBundleWithDsseEnvelope } from '@sigstore/bundle';
import { toSignedEntity } from '@sigstore/verify';
import { messageOf } from '../../errors.ts';
import { OciError, quotePath } from '../errors.ts';
import { formatReference } from '../reference.ts';
import type { Digest, ResolvedImage } from '../types.ts';
import { type Found, findSignatures, type SignatureSource } from './discover.ts';
import { simplePayloadProblem, statementProblem } from './payload.ts';
import type { PreparedPolicy } from './policy.ts';

/** A signature that counts. */
export interface VerifiedSignature {
  /** What is signed: the image's index or its manifest. */
  readonly digest: Digest;
  /** By whom: a key by the beginning of its SHA-256, or the subject and issuer of a certificate. */
  readonly signer: string;
  readonly form: 'simple' | 'bundle';
}

const IN_TOTO = 'application/vnd.in-toto+json';
/** Reasons that one message carries. */
const MAX_REASONS = 3;

/**
 * Finds a signature of the image that the policy accepts. The image is resolved already, so that what
 * is signed is what will be pulled. cosign signs the index where there is one; a signature of the
 * platform's own manifest is as good. Throws `VerificationFailed` with image, digest and reasons, or what the
 * registry failed with when no signature that it did give counts.
 *
 * With a key, no transparency log is asked: who trusts a key trusts its holder. Identities need all
 * that the trusted root knows of.
 */
export async function verifyImage(
  source: SignatureSource,
  image: ResolvedImage,
  policy: PreparedPolicy,
  signal: AbortSignal,
): Promise<VerifiedSignature> {
  const name = `image ${formatReference(image.reference)}`;
  const digests = image.index === undefined ? [image.digest] : [image.index, image.digest];
  const reasons: string[] = [];
  let failure: unknown;
  for (const digest of digests) {
    try {
      for await (const found of findSignatures(source, image.reference, digest, signal)) {
        const verdict = judge(found, digest, policy);
        if ('signer' in verdict) return { digest, ...verdict };
        reasons.push(verdict.problem);
      }
    } catch (error) {
      if (signal.aborted || !(error instanceof OciError) || error.code === 'LimitExceeded') throw error;
      failure ??= error;
    }
  }
  // What could not be read might have counted.
  if (failure !== undefined) throw failure;
  if (reasons.length === 0) {
    throw new OciError(
      'VerificationFailed',
      `${name} (${digests.join(', ')}) has no signature; sign it with cosign, or do not ask for it to be verified`,
    );
  }
  const some = [...new Set(reasons)].slice(0, MAX_REASONS).join('; ');
  const count =
    reasons.length === 1 ? 'its signature does not count' : `none of its ${reasons.length} signatures counts`;
  throw new OciError('VerificationFailed', `${name} (${digests.join(', ')}): ${count}: ${some}`);
}

type Verdict = Pick<VerifiedSignature, 'signer' | 'form'> | { readonly problem: string };

function judge(found: Found, digest: Digest, policy: PreparedPolicy): Verdict {
  switch (found.form) {
    case 'damaged':
      return found;
    case 'simple': {
      const { payload, signature, proof } = found;
      const signer = signerOf(policy, payload, signature, proof, payload);
      return combine(found.form, signer, simplePayloadProblem(payload, digest));
    }
    case 'bundle': {
      const { bundle } = found;
      if (!isBundleWithDsseEnvelope(bundle)) return { problem: 'its bundle signs bytes and not a statement' };
      const { payload, payloadType, signatures } = bundle.content.dsseEnvelope;
      const [signature] = signatures;
      if (payloadType !== IN_TOTO || signature === undefined || signatures.length !== 1) {
        return { problem: 'its bundle does not hold one signed in-toto statement' };
      }
      const certified = bundle.verificationMaterial.content.$case !== 'publicKey';
      const signed = preAuthEncoding(payloadType, payload);
      const signer = signerOf(policy, signed, signature.sig, certified ? () => bundle : undefined);
      return combine(found.form, signer, statementProblem(payload, digest));
    }
  }
}

/** The signer's fault comes first: what an unknown signer says does not matter. */
function combine(form: VerifiedSignature['form'], signer: Signer, problem: string | undefined): Verdict {
  if ('problem' in signer) return signer;
  return problem === undefined ? { signer: signer.name, form } : { problem };
}

type Signer = { readonly name: string } | { readonly problem: string };

/** Who of the policy made the signature. */
function signerOf(
  policy: PreparedPolicy,
  signed: Uint8Array,
  signature: Buffer,
  proof: (() => Bundle) | undefined,
  artifact?: Buffer,
): Signer {
  const key = policy.keys.find((candidate) => isSignedBy(candidate.key, signed, signature));
  if (key !== undefined) return { name: key.name };
  if (proof === undefined) {
    return {
      problem:
        policy.keys.length === 0
          ? 'it is by a key, but no keys are trusted'
          : 'it is by none of the trusted keys',
    };
  }
  if (policy.verifier === undefined)
    return { problem: 'it is by an identity, but no identities are trusted' };
  const problems: string[] = [];
  for (const { issuer, subject, name } of policy.identities) {
    try {
      const entity = toSignedEntity(proof(), artifact);
      const { identity } = policy.verifier.verify(entity, { subjectAlternativeName: subject });
      const by = identity?.extensions?.issuer;
      if (by !== undefined && issuer.test(by))
        return { name: `${identity?.subjectAlternativeName} by ${by}` };
      problems.push(`the issuer of its certificate is ${quotePath(by ?? '')}, not that of ${name}`);
    } catch (error) {
      problems.push(messageOf(error).slice(0, 300));
    }
  }
  return { problem: [...new Set(problems)].join(', ') };
}

/** cosign signs SHA-256 sums, of some curves later the sums that go with them. */
function isSignedBy(key: KeyObject, data: Uint8Array, signature: Buffer): boolean {
  const hashes: Readonly<Record<string, readonly string[]>> = {
    secp384r1: ['sha256', 'sha384'],
    secp521r1: ['sha256', 'sha512'],
  };
  const algorithms =
    key.asymmetricKeyType === 'ed25519'
      ? [null]
      : (hashes[key.asymmetricKeyDetails?.namedCurve ?? ''] ?? ['sha256']);
  return algorithms.some((algorithm) => verifyBytes(algorithm, data, key, signature));
}

/** What a DSSE envelope signs (DSSE protocol.md, "Signature Definition"). */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}
