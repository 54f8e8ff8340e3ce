import { createHash } from 'node:crypto';
import type { ByteSum } from '../initramfs/member.ts';

/** Size and SHA-256 of bytes in memory. */
export function sumOf(bytes: Uint8Array): ByteSum {
  return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}
