import { InitramfsError } from '../initramfs/error.ts';
import { align4 } from '../initramfs/newc.ts';
import { readArchive } from '../initramfs/reader.ts';
import { limitExceeded } from '../oci/errors.ts';

/** Microcode is read into memory to be checked; that of all processors together has some ten megabytes. */
export const MAX_MICROCODE = 64 * 1024 * 1024;

/**
 * Microcode as the first part of an initrd: an uncompressed cpio archive, which the processor's
 * driver reads long before anything is unpacked. Made a multiple of 4 long, since what follows a raw
 * archive must begin there. Throws `MalformedArchive` for anything else: the kernel would stop
 * at it and lose all that follows.
 */
export function microcodeArchive(bytes: Buffer): Buffer {
  const entries = readArchive(bytes);
  let count = 0;
  for (let next = entries.next(); ; next = entries.next()) {
    if (next.done !== true) {
      count += 1;
      continue;
    }
    const rest = bytes.subarray(next.value);
    if (count === 0 || rest.some((byte) => byte !== 0)) {
      throw new InitramfsError(
        'MalformedArchive',
        'the microcode (kernel.ucode) is not one uncompressed cpio archive',
      );
    }
    return Buffer.concat([bytes, Buffer.alloc(align4(bytes.length) - bytes.length)]);
  }
}

export function checkMicrocodeSize(size: number): void {
  if (size > MAX_MICROCODE) throw limitExceeded('MAX_MICROCODE', MAX_MICROCODE, 'kernel.ucode');
}
