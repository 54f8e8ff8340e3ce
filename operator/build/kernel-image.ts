import { readSync } from 'node:fs';
import { CodedError } from '../errors.ts';
import type { KernelStep } from '../linuxkit/plan.ts';
import type { FileTree, RegularFileNode } from '../oci/file-tree.ts';
import { flatten } from '../oci/flatten.ts';
import { IMAGE_LIMITS, type ImageLimits } from '../oci/limits.ts';
import { TarIndexer } from '../oci/tar/indexer.ts';
import type { ResolvedImage } from '../oci/types.ts';
import type { Compression } from './record.ts';

export class KernelImageError extends CodedError<'InvalidKernelImage'> {}

/** The parts of a kernel image. */
export interface KernelImage {
  readonly binary: RegularFileNode;
  readonly ucode?: RegularFileNode;
  /** What is in its archive of modules. */
  readonly modules?: FileTree;
}

/** Finds the parts by name at the root of the image. Throws {@link KernelImageError} for one that is missing. */
export function openKernelImage(
  tree: FileTree,
  step: KernelStep,
  image: ResolvedImage,
  limits: ImageLimits = IMAGE_LIMITS,
): KernelImage {
  const binary = step.binaries
    .map((name) => regularFile(tree, name, image))
    .find((node) => node !== undefined);
  if (binary === undefined) throw missing(image, step.binaries.join(' or '), 'kernel.binary');
  const ucode = step.ucode === undefined ? undefined : regularFile(tree, step.ucode, image);
  if (step.ucode !== undefined && ucode === undefined) throw missing(image, step.ucode, 'kernel.ucode');
  const archive = step.tar === undefined ? undefined : regularFile(tree, step.tar, image);
  if (step.tar !== undefined && archive === undefined)
    throw missing(image, step.tar, "kernel.tar, 'none' for no modules");
  return {
    binary,
    ...(ucode === undefined ? {} : { ucode }),
    ...(archive === undefined ? {} : { modules: readModules(archive, image, limits) }),
  };
}

function regularFile(tree: FileTree, name: string, image: ResolvedImage): RegularFileNode | undefined {
  const node = tree.get(name);
  if (node === undefined || node.type === 'file') return node;
  throw new KernelImageError(
    'InvalidKernelImage',
    `kernel image ${image.digest}: ${JSON.stringify(name)} is a ${node.type}, not a file`,
  );
}

function missing(image: ResolvedImage, name: string, field: string): KernelImageError {
  return new KernelImageError(
    'InvalidKernelImage',
    `kernel image ${image.digest} has no file ${name} at its root; name what it has with ${field}`,
  );
}

/** Read at a time, in bytes: some headers, or one and the beginning of a module. */
const HEADER_BYTES = 4096;

/**
 * The archive lies in the spool of its layer: its files are read from there, never copied. The spool was written a
 * moment ago and is in memory, and members of other images wait for what is found: nothing is waited for here.
 */
function readModules(archive: RegularFileNode, image: ResolvedImage, limits: ImageLimits): FileTree {
  const indexer = new TarIndexer(`${archive.path} of kernel image ${image.digest}`, limits);
  const { spool, offset } = archive.body;
  const buffer = Buffer.alloc(HEADER_BYTES);
  for (let at = 0; at < archive.size; ) {
    const read = readSync(
      spool.descriptor,
      buffer,
      0,
      Math.min(HEADER_BYTES, archive.size - at),
      offset + at,
    );
    if (read === 0) break;
    indexer.push(buffer.subarray(0, read));
    at += read;
    at += indexer.passOver(archive.size - at);
  }
  indexer.end();
  const entries = indexer.entries.map((entry) => ({ ...entry, offset: entry.offset + offset }));
  return flatten([{ digest: image.digest, diffId: image.digest, entries, spool }], limits);
}

const MODULES = /^(?:usr\/)?lib\/modules\/(\d+)\.(\d+)[^/]*$/;

/** Versions of the kernel as the names of its modules' folders say, major and minor. */
export function kernelVersions(paths: Iterable<string>): readonly (readonly [number, number])[] {
  const versions: (readonly [number, number])[] = [];
  for (const path of paths) {
    const match = MODULES.exec(path);
    if (match !== null) versions.push([Number(match[1]), Number(match[2])]);
  }
  return versions;
}

/** zstd where every kernel that the image may hold can unpack it, which is from 5.9 on; gzip for one of unknown age. */
export function chooseCompression(versions: readonly (readonly [number, number])[]): Compression {
  const able = versions.every(([major, minor]) => major > 5 || (major === 5 && minor >= 9));
  return versions.length > 0 && able ? 'zstd' : 'gzip';
}
