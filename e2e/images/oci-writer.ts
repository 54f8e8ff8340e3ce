import type { Transform } from 'node:stream';
import { constants, createGzip, createZstdCompress } from 'node:zlib';

import type { Descriptor, Digest, Platform } from '../../operator/oci/types.ts';
import { type Entry, withParents } from './entry.ts';
import { meter, type OciLayout } from './oci-layout.ts';
import { tarball } from './tarball.ts';

/** Fields of an image's configuration that a container is started with (image-spec, config.md). */
export interface ContainerDefaults {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

export interface LayerSource {
  readonly entries: readonly Entry[];
  readonly compression?: 'gzip' | 'zstd' | 'none';
  /** Writes the entries as they are: no parents added, duplicates and strange paths kept. */
  readonly verbatim?: boolean;
}

export interface ImageSource {
  /** Lowest first. */
  readonly layers: readonly LayerSource[];
  readonly config?: ContainerDefaults;
  /** Go's name of it; amd64 without it. */
  readonly architecture?: string;
  readonly variant?: string;
  /** Media types of the image-spec, or those of Docker's schema 2. */
  readonly mediaTypes?: 'oci' | 'docker';
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image in a layout, ready to be pushed or archived. */
export interface WrittenImage {
  readonly layout: OciLayout;
  /** Of the manifest, or of the index. */
  readonly descriptor: Descriptor;
  /** Every blob that `descriptor` leads to, children first: layers, configs, then manifests of an index. */
  readonly content: readonly Descriptor[];
  /** For a single image: configuration and layers, as `docker load` wants to know them. */
  readonly single?: { readonly config: Descriptor; readonly layers: readonly Descriptor[] };
}

/** The media types of both families. */
const MEDIA = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: {
      none: 'application/vnd.oci.image.layer.v1.tar',
      gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
      zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
    },
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: {
      none: 'application/vnd.docker.image.rootfs.diff.tar',
      gzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
    },
  },
} as const;

/** Writes layers, configuration and manifest. The same source gives the same digests. */
export async function writeImage(
  layout: OciLayout,
  source: ImageSource,
  signal?: AbortSignal,
): Promise<WrittenImage> {
  const media = MEDIA[source.mediaTypes ?? 'oci'];
  const layers: Descriptor[] = [];
  const diffIds: Digest[] = [];
  for (const layer of source.layers) {
    const compression = layer.compression ?? 'gzip';
    const written = await writeLayer(layout, layer, compression, signal);
    layers.push({ mediaType: media.layer[compression], digest: written.digest, size: written.size });
    diffIds.push(written.diffId);
  }
  const platform: Platform = {
    os: 'linux',
    architecture: source.architecture ?? 'amd64',
    ...(source.variant === undefined ? {} : { variant: source.variant }),
  };
  const config = await layout.writeJson(media.config, {
    created: '2020-01-01T00:00:00Z',
    ...platform,
    config: source.config ?? {},
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: source.layers.map(() => ({ created: '2020-01-01T00:00:00Z', created_by: 'linuxkit-operator' })),
  });
  const manifest = await layout.writeJson(media.manifest, {
    schemaVersion: 2,
    mediaType: media.manifest,
    config,
    layers,
    ...(source.annotations === undefined ? {} : { annotations: source.annotations }),
  });
  return {
    layout,
    descriptor: { ...manifest, platform },
    content: [...layers, config],
    single: { config, layers },
  };
}

/** Writes an index over images of one layout. `extra` adds descriptors of one's own, such as attestations. */
export async function writeIndex(
  layout: OciLayout,
  images: readonly WrittenImage[],
  mediaTypes: 'oci' | 'docker' = 'oci',
): Promise<WrittenImage> {
  const media = MEDIA[mediaTypes];
  const descriptor = await layout.writeJson(media.index, {
    schemaVersion: 2,
    mediaType: media.index,
    manifests: images.map((image) => image.descriptor),
  });
  return {
    layout,
    descriptor,
    content: images.flatMap((image) => [...image.content, image.descriptor]),
  };
}

async function writeLayer(
  layout: OciLayout,
  layer: LayerSource,
  compression: 'gzip' | 'zstd' | 'none',
  signal?: AbortSignal,
): Promise<{ digest: Digest; size: number; diffId: Digest }> {
  const plain = meter();
  const entries = layer.verbatim === true ? layer.entries : withParents(layer.entries);
  const written = await layout.write(tarball(entries, signal), plain.through, ...compressor(compression));
  return { ...written, diffId: plain.result().digest };
}

function compressor(compression: 'gzip' | 'zstd' | 'none'): readonly Transform[] {
  if (compression === 'none') return [];
  if (compression === 'gzip') return [createGzip({ level: 6 })];
  return [createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 } })];
}
