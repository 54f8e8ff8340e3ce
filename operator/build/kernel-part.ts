import { constants, createReadStream } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ByteSum } from '../initramfs/member.ts';
import type { RegularFileNode } from '../oci/file-tree.ts';
import type { AssemblyEnvironment } from './assembly-environment.ts';
import { copyRange } from './file-chunks.ts';
import { hashOf } from './identity.ts';
import { indexOf, nodeBytes } from './image-tree.ts';
import type { InitrdMember } from './initrd.ts';
import { checkMicrocodeSize, microcodeArchive } from './microcode.ts';
import type { OpenTrees } from './open-trees.ts';
import type { IndexEntry } from './overlay.ts';
import { ENGINE_SALTS } from './salts.ts';
import type { KernelSource } from './sources.ts';
import { type KernelFacts, parseKernelFacts } from './tree-facts.ts';
import { copyToFile, objectSource, type WorkFile } from './work-file.ts';

/** What a kernel image gives besides its modules' member. */
export interface KernelPart {
  readonly binary: WorkFile;
  readonly microcode?: InitrdMember;
  /** Of its modules. */
  readonly index: readonly IndexEntry[];
}

/** The kernel, from the cache if an earlier build left it there. */
export async function kernelPart(
  source: KernelSource,
  trees: OpenTrees,
  environment: AssemblyEnvironment,
): Promise<KernelPart> {
  const facts = await environment.cache?.record(kernelKey(source), parseKernelFacts);
  return (facts && (await fromCache(facts, environment))) ?? (await fromImage(source, trees, environment));
}

/** Key of what is remembered of the kernel's image. */
export function kernelKey({ image, step }: KernelSource): string {
  const { binaries, tar, ucode } = step;
  return hashOf({ what: 'kernel', salts: ENGINE_SALTS, image: image.digest, binaries, tar, ucode });
}

async function fromCache(
  facts: KernelFacts,
  environment: AssemblyEnvironment,
): Promise<KernelPart | undefined> {
  const binary = await fetch(facts.binary, 'kernel', environment);
  if (binary === undefined) return undefined;
  const { ucode, index } = facts;
  if (ucode === undefined) return { binary, index };
  const file = await fetch(ucode, 'microcode', environment);
  return file && { binary, microcode: microcodeMember(ucode, file), index };
}

/** A file of that sum in the work folder, or undefined when the cache cannot give it. */
async function fetch(
  sum: ByteSum,
  name: string,
  environment: AssemblyEnvironment,
): Promise<WorkFile | undefined> {
  const { cache, folder, signal } = environment;
  const cached = await cache?.file(sum, folder);
  if (cached === undefined) return undefined;
  // A copy, since the cache's own file must not leave with the result.
  const path = join(folder, `cached-${name}`);
  const copied = await copyIfThere(cached.path, path, cached.verified, signal);
  // Removed meanwhile, by whoever keeps caches small.
  if (copied === undefined) return undefined;
  const file = copied === 'unread' ? { path, ...sum } : copied;
  if (file.size === sum.size && file.sha256 === sum.sha256) {
    if (!cached.verified) await cached.confirm();
    return file;
  }
  await cache?.damaged(sum);
  return undefined;
}

/** Copies a file, and sums it unless its sum is known. Undefined where there is none. */
async function copyIfThere(
  from: string,
  to: string,
  known: boolean,
  signal: AbortSignal,
): Promise<WorkFile | 'unread' | undefined> {
  try {
    if (!known) return await copyToFile(to, createReadStream(from), signal);
    await copyFile(from, to, constants.COPYFILE_EXCL);
    return 'unread';
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function fromImage(
  source: KernelSource,
  trees: OpenTrees,
  environment: AssemblyEnvironment,
): Promise<KernelPart> {
  const { kernel, tree } = await trees.openKernel(source);
  const { cache, folder } = environment;
  const path = join(folder, 'kernel');
  const { body, size } = kernel.binary;
  const binary = {
    path,
    ...copyRange({ descriptor: body.spool.descriptor, offset: body.offset, size }, path),
  };
  const microcode = kernel.ucode === undefined ? undefined : await copyMicrocode(kernel.ucode, environment);
  const index = indexOf(tree);
  const facts: KernelFacts = {
    binary: { size: binary.size, sha256: binary.sha256 },
    ...(microcode === undefined ? {} : { ucode: { size: microcode.size, sha256: microcode.sha256 } }),
    index,
  };
  const files = microcode === undefined ? [binary] : [binary, microcode];
  cache?.keep(kernelKey(source), facts, files.map(objectSource));
  return {
    binary,
    index,
    ...(microcode === undefined ? {} : { microcode: microcodeMember(microcode, microcode) }),
  };
}

async function copyMicrocode(node: RegularFileNode, environment: AssemblyEnvironment): Promise<WorkFile> {
  checkMicrocodeSize(node.size);
  const bytes = microcodeArchive(await buffer(Readable.from(nodeBytes(node))));
  return copyToFile(join(environment.folder, 'microcode'), [bytes], environment.signal);
}

/** Microcode is not compressed: what is stored is the archive itself. */
function microcodeMember({ size, sha256 }: ByteSum, file: WorkFile): InitrdMember {
  const sum = { size, sha256 };
  return { name: 'microcode', parts: [{ stored: sum, archive: sum, file }] };
}
