import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { type TrustMaterial, toTrustMaterial, Verifier } from '@sigstore/verify';
import { messageOf } from '../../errors.ts';
import { OciError } from '../errors.ts';

/** Whose signatures count. One by any key, or by any identity, is enough. */
export interface VerificationPolicy {
  /** Public keys as `cosign generate-key-pair` writes them (PEM, SubjectPublicKeyInfo); a text may hold several. */
  readonly publicKeys?: readonly string[];
  readonly identities?: readonly TrustedIdentity[];
  /** Sigstore's `trusted_root.json`: the authorities and logs by which identities are proved. */
  readonly trustedRoot?: string;
}

/** Who may have signed without a key: the subject of a certificate, and who vouched for it. */
export interface TrustedIdentity {
  /** The OpenID Connect issuer, exactly. */
  readonly issuer?: string;
  /** Instead of `issuer`: a regular expression that must match all of it. */
  readonly issuerPattern?: string;
  /** The subject, exactly: an e-mail address or a URI. */
  readonly subject?: string;
  /** Instead of `subject`: a regular expression that must match all of it. */
  readonly subjectPattern?: string;
}

/** A policy that was read and can be asked. */
export interface PreparedPolicy {
  readonly keys: readonly { readonly key: KeyObject; readonly name: string }[];
  readonly identities: readonly {
    readonly issuer: RegExp;
    readonly subject: RegExp;
    /** For messages. */
    readonly name: string;
  }[];
  /** Present when there are identities. */
  readonly verifier?: Verifier;
}

const PEM_KEY = /-----BEGIN PUBLIC KEY-----[\s\S]*?-----END PUBLIC KEY-----/g;

/** Throws {@link OciError} `InvalidPolicy`, naming what cannot be used. */
export function preparePolicy(policy: VerificationPolicy): PreparedPolicy {
  const keys = (policy.publicKeys ?? []).flatMap((text, at) => readKeys(text, `public key ${at + 1}`));
  const identities = (policy.identities ?? []).map(readIdentity);
  if (keys.length === 0 && identities.length === 0) {
    throw invalid('it names neither a public key nor an identity, so that no signature could ever be enough');
  }
  if (identities.length === 0) return { keys, identities };
  if (policy.trustedRoot === undefined)
    throw invalid('identities need a trusted root (trusted_root.json of the sigstore deployment)');
  return { keys, identities, verifier: verifierFor(readTrustedRoot(policy.trustedRoot)) };
}

function readKeys(text: string, name: string): readonly { readonly key: KeyObject; readonly name: string }[] {
  const blocks = text.match(PEM_KEY);
  if (blocks === null) throw invalid(`${name} is no PEM block "PUBLIC KEY"`);
  return blocks.map((pem) => {
    let key: KeyObject;
    try {
      key = createPublicKey(pem);
    } catch (error) {
      throw invalid(`${name} cannot be read: ${messageOf(error)}`);
    }
    if (
      key.asymmetricKeyType !== 'ec' &&
      key.asymmetricKeyType !== 'rsa' &&
      key.asymmetricKeyType !== 'ed25519'
    ) {
      throw invalid(`${name} is of type ${key.asymmetricKeyType}; cosign signs with ec, rsa and ed25519`);
    }
    const der = key.export({ type: 'spki', format: 'der' });
    return { key, name: `key ${createHash('sha256').update(der).digest('hex').slice(0, 16)}` };
  });
}

function readIdentity(identity: TrustedIdentity, at: number): PreparedPolicy['identities'][number] {
  const where = `identity ${at + 1}`;
  const issuer = readClaim(where, 'issuer', identity.issuer, identity.issuerPattern);
  const subject = readClaim(where, 'subject', identity.subject, identity.subjectPattern);
  return { issuer: issuer.pattern, subject: subject.pattern, name: `${subject.name} by ${issuer.name}` };
}

/** What the claim of a certificate must match, and the name of that in messages. */
function readClaim(
  where: string,
  claim: 'issuer' | 'subject',
  exact: string | undefined,
  pattern: string | undefined,
): { readonly pattern: RegExp; readonly name: string } {
  if ((exact === undefined) === (pattern === undefined))
    throw invalid(`${where} must have one of ${claim} and ${claim}Pattern`);
  if (exact === '' || pattern === '') throw invalid(`${where} has an empty ${claim}`);
  if (exact !== undefined) return { pattern: new RegExp(`^${literally(exact)}$`), name: exact };
  try {
    return { pattern: new RegExp(`^(?:${pattern})$`), name: `/${pattern}/` };
  } catch (error) {
    throw invalid(`the ${claim}Pattern of ${where} is no regular expression: ${messageOf(error)}`);
  }
}

/** The text as a regular expression that matches nothing else. */
function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function readTrustedRoot(text: string): TrustMaterial {
  try {
    return toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(text)));
  } catch (error) {
    throw invalid(`the trusted root cannot be read: ${messageOf(error)}`);
  }
}

/**
 * What a deployment of sigstore has, it must have been asked: its log, its certificate log. When a
 * signature was made must always be proved, since its certificate held for minutes.
 */
function verifierFor(material: TrustMaterial): Verifier {
  if (material.certificateAuthorities.length === 0)
    throw invalid('the trusted root has no certificate authority');
  if (material.tlogs.length === 0 && material.timestampAuthorities.length === 0) {
    throw invalid('the trusted root has neither a transparency log nor a timestamp authority');
  }
  return new Verifier(material, {
    tlogThreshold: Math.min(1, material.tlogs.length),
    ctlogThreshold: Math.min(1, material.ctlogs.length),
    timestampThreshold: 1,
  });
}

function invalid(why: string): OciError {
  return new OciError('InvalidPolicy', `verification policy: ${why}`);
}
