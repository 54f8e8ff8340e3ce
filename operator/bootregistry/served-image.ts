import { createHash } from 'node:crypto';
import type { BootImageRecord, BuildRecord, FileRecord } from '../build/record.ts';
import {
  type BootLayerFrame,
  bootLayerFrame,
  bootLayerSize,
  MAX_BOOT_FILE_BYTES,
} from '../oci/boot-image.ts';
import { MEDIA_TYPES, parseManifest } from '../oci/manifest.ts';
import { type Digest, sha256Digest } from '../oci/types.ts';
import type { ArtifactFile } from '../storage/layout.ts';

/** A layer of a boot image, or a file of its artifact as it is stored: where its bytes come from. */
export interface ServedLayer {
  readonly digest: Digest;
  readonly file: ArtifactFile;
  readonly frame: BootLayerFrame;
  /** SHA-256 of the stored object, 64 hex digits. */
  readonly objectSha256: string;
}

/** A boot image that holds together: its manifest names this configuration and these layers. */
export interface ServedImage {
  /** Of the artifact whose files it is made of. */
  readonly artifact: Digest;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly manifest: Buffer;
  readonly configDigest: Digest;
  readonly config: Buffer;
  readonly layers: readonly ServedLayer[];
  /** What tells of the artifact, for whoever wants to know what it boots. No part of the image. */
  readonly evidence: readonly ServedLayer[];
}

/**
 * Makes a boot image of an artifact's record, which a tenant's build wrote: everything that can be
 * known without reading the objects is computed anew and compared. What remains, that the composed
 * layers have their digests, is checked when one is sent whole, and by the runtime that pulls it.
 *
 * `recordFile` is the record as it is stored; without it, it is not served.
 */
export function servedImageOf(
  record: BuildRecord,
  recordFile?: FileRecord,
): { readonly image: ServedImage } | { readonly problem: string } {
  const { bootImage } = record;
  const manifest = Buffer.from(bootImage.manifest);
  const config = Buffer.from(bootImage.config);
  if (digestOf(manifest) !== bootImage.digest)
    return { problem: `the manifest does not have digest ${bootImage.digest}` };
  const problem = manifestProblem(bootImage, manifest, config);
  if (problem !== undefined) return { problem };

  const layers: ServedLayer[] = [];
  for (const { file, digest, size } of bootImage.layers) {
    const stored = record.files[file];
    if (stored.size > MAX_BOOT_FILE_BYTES)
      return { problem: `${file} has ${stored.size} bytes, too many to boot` };
    const frame = bootLayerFrame(file, stored.size);
    const expected = bootLayerSize(frame);
    if (expected !== size) return { problem: `layer ${file} has ${size} bytes, ${expected} expected` };
    layers.push({ digest, file, frame, objectSha256: stored.sha256 });
  }
  const files = new Set(layers.map(({ file }) => file));
  if (files.size !== 2 || layers.length !== 2)
    return { problem: 'it does not have one layer for the kernel and one for the initrd' };
  return {
    image: {
      artifact: record.digest,
      digest: bootImage.digest,
      mediaType: MEDIA_TYPES.ociManifest,
      manifest,
      configDigest: digestOf(config),
      config,
      layers,
      evidence: [
        ...evidenceOf('sbom.spdx.json', record.files['sbom.spdx.json']),
        ...evidenceOf('provenance.json', record.files['provenance.json']),
        ...evidenceOf('build.json', recordFile),
      ],
    },
  };
}

/** An object as it is: a layer with nothing before it and nothing after. */
function evidenceOf(file: ArtifactFile, stored: FileRecord | undefined): readonly ServedLayer[] {
  if (stored === undefined || stored.size === 0) return [];
  const frame = { header: Buffer.alloc(0), objectSize: stored.size, zeros: 0 };
  return [{ digest: sha256Digest(stored.sha256), file, frame, objectSha256: stored.sha256 }];
}

function manifestProblem(record: BootImageRecord, manifest: Buffer, config: Buffer): string | undefined {
  let parsed: ReturnType<typeof parseManifest>;
  try {
    parsed = parseManifest(manifest, undefined, 'the manifest');
  } catch (error) {
    return error instanceof Error ? error.message : 'the manifest cannot be read';
  }
  // An index, or Docker's older format, would be served under a media type that it does not have.
  if (parsed.kind !== 'image' || parsed.mediaType !== MEDIA_TYPES.ociManifest)
    return 'the manifest is not one of an OCI image';
  if (parsed.config.digest !== digestOf(config) || parsed.config.size !== config.length) {
    return 'the manifest names another configuration';
  }
  const named = parsed.layers.map(({ digest, size }) => `${digest} ${size}`);
  const recorded = record.layers.map(({ digest, size }) => `${digest} ${size}`);
  return named.join() === recorded.join() ? undefined : 'the manifest names other layers';
}

function digestOf(bytes: Buffer): Digest {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}
