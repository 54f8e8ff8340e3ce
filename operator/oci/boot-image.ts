import { createHash } from 'node:crypto';
import { limitExceeded } from './errors.ts';
import { MEDIA_TYPES } from './manifest.ts';
import { BLOCK_BYTES, paddingOf } from './tar/block.ts';
import { formatTarHeader } from './tar/format.ts';
import { type Digest, sha256Digest } from './types.ts';

/**
 * The container image that KubeVirt boots a kernel and an initrd from (`firmware.kernelBoot.container`):
 * two layers, each an archive of one file, whose bytes are a header, the stored object, and zeros. So
 * objects are stored once, and layers are composed while they are served. Everything here is a
 * function of its arguments: the same artifact always gives the same image.
 */

export type BootFile = 'kernel' | 'initrd.img';

/** Largest file, in bytes: QEMU and the kernel's own boot protocol take no more. */
export const MAX_BOOT_FILE_BYTES = 2 ** 32 - 1;

/** QEMU in KubeVirt's pods runs as this user and group, and only reads. */
const QEMU_ID = 107;
const MODE = 0o444;
/** An archive ends with two blocks of zeros (POSIX.1-2017, pax, "ustar Interchange Format"). */
const END_BYTES = 2 * BLOCK_BYTES;

/** How a layer is put together: `header`, then `objectSize` bytes of the stored object, then `zeros` zero bytes. */
export interface BootLayerFrame {
  readonly header: Buffer;
  readonly objectSize: number;
  readonly zeros: number;
}

/** A layer as the manifest names it. */
export interface BootLayer {
  readonly file: BootFile;
  readonly digest: Digest;
  /** Of the layer, in bytes. */
  readonly size: number;
}

/** A boot image, its documents as exact text. */
export interface BootImage {
  /** Digest of `manifest`: what a VirtualMachine names after the `@`. */
  readonly digest: Digest;
  readonly manifest: string;
  readonly config: string;
  readonly layers: readonly BootLayer[];
}

/** The path of a file in the image, without leading slash. */
export function bootPath(file: BootFile): string {
  return `boot/${file}`;
}

/** The layer of a file of so many bytes. Throws `LimitExceeded` above {@link MAX_BOOT_FILE_BYTES}. */
export function bootLayerFrame(file: BootFile, objectSize: number): BootLayerFrame {
  if (objectSize > MAX_BOOT_FILE_BYTES) {
    throw limitExceeded(
      'MAX_BOOT_FILE_BYTES',
      MAX_BOOT_FILE_BYTES,
      `boot image, file ${file} of ${objectSize} bytes`,
    );
  }
  return { header: header(bootPath(file), objectSize), objectSize, zeros: paddingOf(objectSize) + END_BYTES };
}

/** In bytes. */
export function bootLayerSize({ header, objectSize, zeros }: BootLayerFrame): number {
  return header.length + objectSize + zeros;
}

/** Computes a layer's digest from the file's bytes, which must be as many as are announced. */
export async function bootLayer(
  file: BootFile,
  objectSize: number,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<BootLayer> {
  const frame = bootLayerFrame(file, objectSize);
  const hash = createHash('sha256').update(frame.header);
  let size = 0;
  for await (const chunk of content) {
    hash.update(chunk);
    size += chunk.length;
  }
  if (size !== objectSize) throw new RangeError(`${file}: ${objectSize} bytes were announced, ${size} came`);
  hash.update(Buffer.alloc(frame.zeros));
  return { file, digest: sha256Digest(hash.digest('hex')), size: bootLayerSize(frame) };
}

/** The manifest and configuration (OCI image-spec, manifest.md and config.md) over these layers. */
export function bootImage(input: {
  /** Go's name of it: amd64, arm64. */
  readonly architecture: string;
  readonly layers: readonly BootLayer[];
  readonly annotations?: Readonly<Record<string, string>>;
}): BootImage {
  const { architecture, layers, annotations } = input;
  // containerd refuses an image without a diff_id for each layer; these are their own, being uncompressed.
  const config = JSON.stringify({
    architecture,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: MEDIA_TYPES.ociConfig, digest: digestOf(config), size: Buffer.byteLength(config) },
    layers: layers.map(({ digest, size }) => ({ mediaType: MEDIA_TYPES.ociLayer, digest, size })),
    ...(annotations !== undefined && { annotations: sorted(annotations) }),
  });
  return { digest: digestOf(manifest), manifest, config, layers };
}

function header(path: string, size: number): Buffer {
  return formatTarHeader({
    path,
    type: 'file',
    mode: MODE,
    uid: QEMU_ID,
    gid: QEMU_ID,
    mtime: 0,
    size,
    linkTarget: '',
    devMajor: 0,
    devMinor: 0,
  });
}

function sorted(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function digestOf(text: string): Digest {
  return sha256Digest(createHash('sha256').update(text).digest('hex'));
}
