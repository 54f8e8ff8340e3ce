import type { Descriptor, Digest } from '../../oci/types.ts';
import { isRecord, parseSpdx, type SpdxFragment } from './spdx-fragment.ts';

/**
 * SBOMs that images carry: in-toto statements in the layers of an attestation manifest, as BuildKit
 * stores them (https://docs.docker.com/build/metadata/attestations/attestation-storage/).
 */

const STATEMENT_MEDIA_TYPE = 'application/vnd.in-toto+json';
const PREDICATE_ANNOTATION = 'in-toto.io/predicate-type';
const SPDX_PREDICATE = 'https://spdx.dev/Document';
const STATEMENT_TYPES: ReadonlySet<unknown> = new Set([
  'https://in-toto.io/Statement/v0.1',
  'https://in-toto.io/Statement/v1',
]);

/** Deepest nesting of JSON that is read: an SPDX document needs six. What serialises it later recurses. */
const MAX_JSON_DEPTH = 64;

/** Of the layers of an attestation manifest, those that say of themselves that they are SPDX documents. */
export function sbomLayers(layers: readonly Descriptor[]): readonly Descriptor[] {
  return layers.filter(
    ({ mediaType, annotations }) =>
      mediaType === STATEMENT_MEDIA_TYPE && isSpdxPredicate(annotations?.[PREDICATE_ANNOTATION]),
  );
}

/** The SBOM in a statement about the image with that digest, or why there is none to use. */
export function parseSbomStatement(
  bytes: Uint8Array,
  image: Digest,
): { readonly sbom: SpdxFragment } | { readonly problem: string } {
  let statement: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (nesting(text) > MAX_JSON_DEPTH)
      return { problem: `is nested deeper than MAX_JSON_DEPTH (${MAX_JSON_DEPTH})` };
    statement = JSON.parse(text);
  } catch {
    return { problem: 'is not JSON' };
  }
  if (!isRecord(statement) || !STATEMENT_TYPES.has(statement['_type']))
    return { problem: 'is no in-toto statement' };
  if (!isSpdxPredicate(statement['predicateType'])) return { problem: 'holds no SPDX document' };
  if (!isAbout(statement['subject'], image)) return { problem: 'is about another image' };
  return parseSpdx(statement['predicate']);
}

/** The version may be a part of the type: `https://spdx.dev/Document/v2.3`. */
function isSpdxPredicate(type: unknown): boolean {
  return typeof type === 'string' && (type === SPDX_PREDICATE || type.startsWith(`${SPDX_PREDICATE}/`));
}

function isAbout(subjects: unknown, image: Digest): boolean {
  if (!Array.isArray(subjects)) return false;
  return subjects.some((subject: unknown) => {
    const digest = isRecord(subject) ? subject['digest'] : undefined;
    return isRecord(digest) && `sha256:${String(digest['sha256'])}` === image;
  });
}

/** Depth of brackets and braces outside of strings. */
function nesting(json: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < json.length; at += 1) {
    switch (json[at]) {
      case '"':
        at = endOfString(json, at);
        break;
      case '[':
      case '{':
        depth += 1;
        deepest = Math.max(deepest, depth);
        break;
      case ']':
      case '}':
        depth -= 1;
        break;
      default:
        break;
    }
  }
  return deepest;
}

/** Position of the closing quote, or the end of the text. */
function endOfString(json: string, start: number): number {
  for (let at = start + 1; at < json.length; at += 1) {
    if (json[at] === '\\') at += 1;
    else if (json[at] === '"') return at;
  }
  return json.length;
}
