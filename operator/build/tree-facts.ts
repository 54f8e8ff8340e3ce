import * as z from 'zod';
import type { ByteSum } from '../initramfs/member.ts';
import type { IndexEntry } from './overlay.ts';

/** What is remembered of an image's tree, so that the image need not be pulled to place others over it. */
export interface TreeFacts {
  readonly index: readonly IndexEntry[];
  /** The tree's database of Alpine packages, if it has one. */
  readonly packages?: string;
}

/** What is remembered of a kernel image. */
export interface KernelFacts {
  readonly binary: ByteSum;
  readonly ucode?: ByteSum;
  /** Of its modules, if it has any. */
  readonly index: readonly IndexEntry[];
}

/** A finished member in the cache: the bytes of its parts are stored under their own sums. */
export interface MemberFacts {
  readonly parts: readonly { readonly stored: ByteSum; readonly archive: ByteSum }[];
}

const byteSum = z.object({ size: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
/** By hand, since a tree has tens of thousands of entries: a schema takes longer than all else there is to read. */
const index = z.custom<readonly IndexEntry[]>(
  (value) => Array.isArray(value) && value.every((entry: unknown) => isIndexEntry(entry)),
);

function isIndexEntry(value: unknown): value is IndexEntry {
  if (typeof value !== 'object' || value === null || !('path' in value) || !('type' in value)) return false;
  if (typeof value.path !== 'string') return false;
  switch (value.type) {
    case 'directory':
    case 'implied':
    case 'file':
    case 'special':
      return true;
    case 'symlink':
      return 'target' in value && typeof value.target === 'string';
    default:
      return false;
  }
}

const treeFacts = z.object({ index, packages: z.string().exactOptional() });
const kernelFacts = z.object({ binary: byteSum, ucode: byteSum.exactOptional(), index });
const memberFacts = z.object({ parts: z.array(z.object({ stored: byteSum, archive: byteSum })) });

/** Each reads what was stored, and is undefined for anything else. */
export function parseTreeFacts(value: unknown): TreeFacts | undefined {
  return treeFacts.safeParse(value).data;
}

export function parseKernelFacts(value: unknown): KernelFacts | undefined {
  return kernelFacts.safeParse(value).data;
}

export function parseMemberFacts(value: unknown): MemberFacts | undefined {
  return memberFacts.safeParse(value).data;
}
