/** A content digest, `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor.md, "Digests"). */
export type Digest = `sha256:${string}` & { readonly __brand: 'Digest' };

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/** Makes a digest of 64 lower-case hex digits. Throws a RangeError on anything else. */
export function sha256Digest(hex: string): Digest {
  const text = `sha256:${hex}`;
  if (!isDigest(text))
    throw new RangeError(`not 64 lower-case hex digits: ${JSON.stringify(hex.slice(0, 80))}`);
  return text;
}

/** OCI descriptor (image-spec, descriptor.md). `size` is in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  /** What an artifact is, where `mediaType` only says that it is a manifest. */
  readonly artifactType?: string;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Platform {
  readonly os: string;
  /** Go's name of it: amd64, arm64, … */
  readonly architecture: string;
  readonly variant?: string;
}

/** An image reference, normalised the way Docker and LinuxKit do (`alpine` is `docker.io/library/alpine`). */
export interface ImageReference {
  /** Host with optional port, `docker.io` for Docker Hub. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** One image for one platform, resolved: nothing in it can change any more. */
export interface ResolvedImage {
  readonly reference: ImageReference;
  /** Digest of the platform's own manifest: what is pulled. */
  readonly digest: Digest;
  /** Digest of the index it was chosen from, if the reference named one. */
  readonly index?: Digest;
  readonly config: ImageConfig;
  /** Lowest first; as many as `config.diffIds`. */
  readonly layers: readonly Descriptor[];
  /** Manifests of statements about the image (SBOM, provenance) that its index lists. */
  readonly attestations?: readonly Descriptor[];
}

/** The parts of an OCI image configuration that a build uses (image-spec, config.md). */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly config: {
    readonly Entrypoint?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly Env?: readonly string[];
    readonly WorkingDir?: string;
    readonly Labels?: Readonly<Record<string, string>>;
  };
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly Digest[];
}
