import type { Artifact } from '../api/image.ts';
import { quantityValue } from '../api/quantity.ts';

const MEBIBYTE = 2 ** 20;

/** What the firmware, the running kernel and a first process take besides the image itself. */
const BASE = 48 * MEBIBYTE;
/** zstd and gzip of program files seldom do better; used where the unpacked size is not recorded. */
const EXPANSION = 3;

/**
 * The least memory, in bytes, with which a guest can start at all: the kernel lies there packed and
 * unpacked, and the initrd as well. A guest with less says nothing and counts as ready. A
 * bound from below, no advice: what the services need comes on top.
 */
export function leastMemory(artifact: Artifact): number {
  const { kernel, initrd } = artifact;
  return BASE + 2 * kernel.size + initrd.size + (initrd.uncompressedSize ?? EXPANSION * initrd.size);
}

/** What is wrong with the memory of a guest, if anything. */
export function guestMemoryProblem(memory: string | number, artifact: Artifact): string | undefined {
  const given = quantityValue(memory);
  if (given === undefined) return `${memory} is not an amount of memory`;
  const least = leastMemory(artifact);
  if (given >= least) return undefined;
  return `${memory} cannot hold this image: kernel and initrd, packed and unpacked, need at least ${Math.ceil(least / MEBIBYTE)}Mi`;
}
