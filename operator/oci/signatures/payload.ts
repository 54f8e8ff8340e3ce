import type { Digest } from '../types.ts';

/** What cosign signs instead of the image: a small document that names the image's digest. */

/** cosign's predicate for a signature of an image; other predicates are statements about it, such as SBOMs. */
const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';
const STATEMENT_TYPE = /^https:\/\/in-toto\.io\/Statement\/v[0-9.]+$/;
const SIMPLE_TYPE = 'cosign container image signature';

/** Why a document that is signed does not say that this digest is signed; undefined if it says so. */
export type PayloadProblem = string | undefined;

/** A simple signing document (containers/image, docs/containers-signature.5.md), as cosign 1 and 2 write it. */
export function simplePayloadProblem(payload: Uint8Array, digest: Digest): PayloadProblem {
  const critical = field(parse(payload), 'critical');
  if (field(critical, 'type') !== SIMPLE_TYPE) return 'what is signed is not an image signature of cosign';
  const signed = field(field(critical, 'image'), 'docker-manifest-digest');
  return signed === digest ? undefined : `it signs ${text(signed)} and not this image`;
}

/** An in-toto statement (in-toto attestation framework, spec/v1), as cosign 3 writes it. */
export function statementProblem(payload: Uint8Array, digest: Digest): PayloadProblem {
  const statement = parse(payload);
  const type = field(statement, '_type');
  if (typeof type !== 'string' || !STATEMENT_TYPE.test(type))
    return 'what is signed is not an in-toto statement';
  const predicate = field(statement, 'predicateType');
  if (predicate !== SIGN_PREDICATE) return `it is a statement of type ${text(predicate)} and not a signature`;
  const subjects = field(statement, 'subject');
  const digests = Array.isArray(subjects)
    ? subjects.map((subject) => field(field(subject, 'digest'), 'sha256'))
    : [];
  const hex = digest.slice('sha256:'.length);
  return digests.includes(hex) ? undefined : `it signs ${text(digests[0])} and not this image`;
}

function parse(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : 'nothing';
}
