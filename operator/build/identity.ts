import { createHash } from 'node:crypto';
import type { ByteSum } from '../initramfs/member.ts';
import type { VerificationPolicy } from '../oci/signatures/policy.ts';
import { type Digest, sha256Digest } from '../oci/types.ts';
import type { Architecture, Compression, ResolvedInput } from './record.ts';
import { ENGINE_SALTS } from './salts.ts';

/**
 * JSON with one spelling for each value: object keys in the order of their UTF-16 units, no white
 * space, members that are undefined left out (RFC 8785 for the values that occur here). Throws a
 * TypeError on what JSON cannot hold.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} has no place in JSON`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`a ${typeof value} has no place in JSON`);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

/** SHA-256 of the canonical JSON, 64 hex digits. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/**
 * Identity of an artifact: what is in it, not how the compressor packed it. The compression itself
 * counts, since a kernel may know the one and not the other.
 */
export function artifactDigest(content: {
  readonly architecture: Architecture;
  readonly compression: Compression;
  /** SHA-256 of the kernel, hex. */
  readonly kernel: string;
  /** {@link contentSum} of the initrd. */
  readonly initrd: string;
  readonly cmdline: string;
}): Digest {
  return sha256Digest(hashOf({ schema: 'linuxkit.dev/artifact/v1', ...content }));
}

/**
 * Sum of an initrd's uncompressed content: SHA-256 of the canonical JSON of the sizes and sums of its
 * uncompressed parts, in their order. So the parts that have not changed need not be read again.
 */
export function contentSum(parts: readonly ByteSum[]): string {
  return hashOf(parts.map(({ size, sha256 }) => ({ size, sha256 })));
}

/** Everything that determines the output of a build, as 64 hex digits. */
export function inputsHash(inputs: {
  readonly architecture: Architecture;
  readonly compression: 'auto' | Compression;
  /** The validated configuration: any two spellings of the same values are the same. */
  readonly config: unknown;
  readonly images: readonly ResolvedInput[];
  /** Files that don't come from the configuration: `spec.files`, and those read from the machine that builds. */
  readonly files: readonly { readonly path: string; readonly mode: number; readonly sum: ByteSum }[];
  /** Whose signatures count: a result under one policy is not the answer to another. */
  readonly verification?: VerificationPolicy | undefined;
}): string {
  const images = inputs.images.map(({ location, digest }) => ({ location, digest }));
  return hashOf({ schema: 'linuxkit.dev/inputs/v1', salts: ENGINE_SALTS, ...inputs, images });
}
