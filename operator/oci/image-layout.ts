import { limitExceeded, OciError } from './errors.ts';
import { type Manifest, MEDIA_TYPES, parseImageConfig, parseManifest } from './manifest.ts';
import { formatPlatform } from './platform.ts';
import { formatReference } from './reference.ts';
import type { ServedDocument } from './registry/reader.ts';
import type { Descriptor, Digest, ImageReference, Platform } from './types.ts';

/** An index may list indexes, but not for ever. */
const MAX_LAYOUT_DEPTH = 3;
/** Manifests and indexes of a layout, and their bytes: they are in memory. */
export const MAX_LAYOUT_DOCUMENTS = 256;
export const MAX_LAYOUT_DOCUMENT_BYTES = 16 * 1024 * 1024;

/** A manifest or index, byte for byte as it is served. */
export interface LayoutDocument {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Buffer;
}

/** An image, or those of several platforms, as they are in a registry: what an OCI layout is made of. */
export interface ImageLayout {
  readonly reference: ImageReference;
  /** What the reference stands for; also the last of `documents`. */
  readonly root: LayoutDocument;
  /** Each once, what is listed before what lists it. */
  readonly documents: readonly LayoutDocument[];
  /** Configurations and layers, each once, in the order in which they are named. */
  readonly blobs: readonly Descriptor[];
}

/** Where the documents of a layout come from. */
export interface LayoutSource {
  fetchDocument(
    reference: ImageReference,
    signal: AbortSignal,
    descriptor?: Descriptor,
  ): Promise<ServedDocument>;
  readBlob(reference: ImageReference, descriptor: Descriptor, signal: AbortSignal): Promise<Buffer>;
}

/**
 * Follows a reference to all that a layout of it holds: everything, or the images for `platforms`
 * (`linux/arm64`, `linux/arm/v7`) alone. An index stays as it is, since its digest says what it lists; that
 * not all of that is there is what OCI allows (image-spec, image-layout.md, "Blobs"). Throws
 * {@link OciError} `PlatformMissing` when there is none for one of the platforms.
 */
export async function resolveLayout(
  reference: ImageReference,
  platforms: readonly string[] | undefined,
  source: LayoutSource,
  signal: AbortSignal,
): Promise<ImageLayout> {
  const walk = new LayoutWalk(reference, platforms, source, signal);
  const root = await walk.begin();
  return { reference, root, documents: walk.documents, blobs: [...walk.blobs.values()] };
}

class LayoutWalk {
  readonly #reference: ImageReference;
  readonly #wanted: readonly string[] | undefined;
  readonly #source: LayoutSource;
  readonly #signal: AbortSignal;
  readonly #name: string;
  readonly #seen = new Set<Digest>();
  readonly #offered = new Set<string>();
  readonly #found = new Set<string>();
  #bytes = 0;
  readonly documents: LayoutDocument[] = [];
  readonly blobs = new Map<Digest, Descriptor>();

  constructor(
    reference: ImageReference,
    wanted: readonly string[] | undefined,
    source: LayoutSource,
    signal: AbortSignal,
  ) {
    this.#reference = reference;
    this.#wanted = wanted === undefined || wanted.length === 0 ? undefined : wanted;
    this.#source = source;
    this.#signal = signal;
    this.#name = `image ${formatReference(reference)}`;
  }

  async begin(): Promise<LayoutDocument> {
    const root = await this.#fetch(this.#reference);
    await this.#take(root, undefined, 0);
    const missing = this.#wanted?.filter((platform) => !this.#found.has(platform)) ?? [];
    if (missing.length === 0) return root.document;
    const offered = [...this.#offered].slice(0, 20).join(', ');
    throw new OciError(
      'PlatformMissing',
      `${this.#name}: there is no image for ${missing.join(', ')}; it is for ${offered === '' ? 'no platform at all' : offered}`,
    );
  }

  async #take(fetched: Fetched, platform: Platform | undefined, depth: number): Promise<void> {
    const { document, manifest } = fetched;
    if (manifest.kind === 'index') {
      if (depth >= MAX_LAYOUT_DEPTH) throw limitExceeded('MAX_LAYOUT_DEPTH', MAX_LAYOUT_DEPTH, this.#name);
      for (const entry of manifest.manifests) await this.#follow(entry, depth + 1);
      this.documents.push(document);
    } else if (await this.#selects(manifest.config, platform)) {
      for (const blob of [manifest.config, ...manifest.layers])
        if (!this.blobs.has(blob.digest)) this.blobs.set(blob.digest, blob);
      this.documents.push(document);
    }
  }

  async #follow(entry: Descriptor, depth: number): Promise<void> {
    if (this.#seen.has(entry.digest)) return;
    if (entry.platform !== undefined && !this.#accepts(entry.platform)) return;
    this.#seen.add(entry.digest);
    const fetched = await this.#fetch({ ...this.#reference, digest: entry.digest }, entry);
    await this.#take(fetched, entry.platform, depth);
  }

  /** What an index does not say of an image, its configuration does. */
  async #selects(config: Descriptor, platform: Platform | undefined): Promise<boolean> {
    if (this.#wanted === undefined || platform !== undefined) return true;
    const bytes = await this.#source.readBlob(this.#reference, config, this.#signal);
    return this.#accepts(parseImageConfig(bytes, `${this.#name} (configuration ${config.digest})`));
  }

  #accepts(platform: Platform): boolean {
    if (this.#wanted === undefined) return true;
    this.#offered.add(formatPlatform(platform));
    const fitting = this.#wanted.filter((wanted) => fits(platform, wanted));
    for (const wanted of fitting) this.#found.add(wanted);
    return fitting.length > 0;
  }

  async #fetch(reference: ImageReference, descriptor?: Descriptor): Promise<Fetched> {
    if (this.#seen.size > MAX_LAYOUT_DOCUMENTS)
      throw limitExceeded('MAX_LAYOUT_DOCUMENTS', MAX_LAYOUT_DOCUMENTS, this.#name);
    const served = await this.#source.fetchDocument(reference, this.#signal, descriptor);
    const { bytes, digest, contentType, where } = served;
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_LAYOUT_DOCUMENT_BYTES)
      throw limitExceeded('MAX_LAYOUT_DOCUMENT_BYTES', MAX_LAYOUT_DOCUMENT_BYTES, this.#name);
    const manifest = parseManifest(bytes, contentType, where);
    return { document: { mediaType: manifest.mediaType, digest, bytes }, manifest };
  }
}

interface Fetched {
  readonly document: LayoutDocument;
  readonly manifest: Manifest;
}

/** Whether an image is for `os/architecture`, of whatever variant, or for `os/architecture/variant`. */
function fits({ os, architecture, variant }: Platform, wanted: string): boolean {
  const [wantedOs, wantedArchitecture, wantedVariant] = wanted.split('/');
  return (
    os === wantedOs &&
    architecture === wantedArchitecture &&
    (wantedVariant === undefined || variant === wantedVariant)
  );
}

/** Path of a blob in a layout. */
export function layoutBlobPath(digest: Digest): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/**
 * The files of a layout but for configurations and layers (image-spec, image-layout.md), as LinuxKit's own
 * tool writes them: `index.json` names the root, under the reference by which it was asked for.
 */
export function layoutFiles({ reference, root, documents }: ImageLayout): readonly {
  readonly path: string;
  readonly bytes: Buffer;
}[] {
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociIndex,
    manifests: [
      {
        mediaType: root.mediaType,
        size: root.bytes.length,
        digest: root.digest,
        annotations: { 'org.opencontainers.image.ref.name': formatReference(reference) },
      },
    ],
  };
  return [
    { path: 'oci-layout', bytes: Buffer.from('{\n\t\t"imageLayoutVersion": "1.0.0"\n}') },
    ...documents.map(({ digest, bytes }) => ({ path: layoutBlobPath(digest), bytes })),
    { path: 'index.json', bytes: Buffer.from(JSON.stringify(index, null, 3)) },
  ];
}
