import * as z from 'zod';

/**
 * A content digest, `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor.md, "Digests").
 * The same shape as the one of `oci/`, restated because this folder imports nothing of ours.
 */
export type Digest = `sha256:${string}` & { readonly __brand: 'Digest' };

export const DIGEST_PATTERN = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return DIGEST_PATTERN.test(text);
}

/** Schema of a digest. The cast only brands what the pattern has checked. */
export const digest = z.string().max(71).regex(DIGEST_PATTERN) as unknown as z.ZodType<Digest, string>;

/** 64 lower-case hex digits: a SHA-256 without its algorithm. */
export const sha256Hex = z
  .string()
  .max(64)
  .regex(/^[0-9a-f]{64}$/);
