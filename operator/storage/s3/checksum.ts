/** S3 writes checksums as base64 of the bytes, everything of ours as hex digits. */
export function base64OfHex(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

/**
 * Undefined unless it is the SHA-256 of the whole object: a multipart upload's is a sum of sums,
 * marked by `-` and the number of parts.
 */
export function hexOfBase64(base64: string | undefined): string | undefined {
  if (base64 === undefined || !/^[A-Za-z0-9+/]{43}=$/.test(base64)) return undefined;
  return Buffer.from(base64, 'base64').toString('hex');
}
