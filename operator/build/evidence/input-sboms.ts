import { OciError, type OciErrorCode } from '../../oci/errors.ts';
import type { Manifest } from '../../oci/manifest.ts';
import { readBody } from '../../oci/registry/body.ts';
import type { ImageSource } from '../../oci/source.ts';
import type { Descriptor, ImageReference, ResolvedImage } from '../../oci/types.ts';
import { parseSbomStatement, sbomLayers } from './sbom-statement.ts';
import type { SpdxFragment } from './spdx-fragment.ts';

/** Where images' attestations come from: the registry of the images themselves. */
export interface AttestationSource extends Pick<ImageSource, 'openBlob'> {
  fetchManifest(
    reference: ImageReference,
    signal: AbortSignal,
    descriptor?: Descriptor,
  ): Promise<{ readonly manifest: Manifest }>;
}

/** The SBOMs that an image carries. */
export interface InputSboms {
  readonly sboms: readonly SpdxFragment[];
  /** One sentence for each that cannot be used. */
  readonly problems: readonly string[];
}

/** Sizes in bytes. All SBOMs are in memory at once while theirs is written. */
export interface SbomLimits {
  readonly maxSbomBytes: number;
  readonly maxTotalSbomBytes: number;
  readonly maxAttestations: number;
}

export const SBOM_LIMITS: SbomLimits = {
  maxSbomBytes: 8 << 20,
  maxTotalSbomBytes: 16 << 20,
  maxAttestations: 16,
};

/**
 * Failures that are a property of what the registry holds and not of the moment: asking again would
 * change nothing, so the SBOM says what is missing. All others fail the build, since the same inputs shall give the same document.
 */
const LASTING: ReadonlySet<OciErrorCode> = new Set([
  'ImageNotFound',
  'InvalidManifest',
  'UnsupportedMediaType',
  'LimitExceeded',
]);

/**
 * Fetches the SBOMs of images, one after another: they are small, and what matters is pulled at the
 * same time. Throws `OciError` when a registry does not answer, or serves other bytes than it should.
 */
export async function fetchInputSboms(
  images: readonly ResolvedImage[],
  source: AttestationSource,
  signal: AbortSignal,
  limits: SbomLimits = SBOM_LIMITS,
): Promise<readonly InputSboms[]> {
  const results: InputSboms[] = [];
  let budget = limits.maxTotalSbomBytes;
  for (const image of images) {
    const sboms: SpdxFragment[] = [];
    const problems: string[] = [];
    const attestations = image.attestations ?? [];
    if (attestations.length > limits.maxAttestations) {
      problems.push(
        `It lists ${attestations.length} attestations, of which maxAttestations (${limits.maxAttestations}) were read.`,
      );
    }
    for (const attestation of attestations.slice(0, limits.maxAttestations)) {
      const reader = new StatementReader(image, source, signal, { ...limits, maxTotalSbomBytes: budget });
      const found = await reader.read(attestation);
      sboms.push(...found.sboms);
      problems.push(...found.problems);
      budget -= reader.bytes;
    }
    results.push({ sboms, problems });
  }
  return results;
}

class StatementReader {
  readonly #image: ResolvedImage;
  readonly #source: AttestationSource;
  readonly #signal: AbortSignal;
  readonly #limits: SbomLimits;
  /** Of the SBOMs that were read. */
  bytes = 0;

  constructor(image: ResolvedImage, source: AttestationSource, signal: AbortSignal, limits: SbomLimits) {
    this.#image = image;
    this.#source = source;
    this.#signal = signal;
    this.#limits = limits;
  }

  async read(attestation: Descriptor): Promise<InputSboms> {
    const reference = { ...this.#image.reference, digest: attestation.digest };
    const manifest = await this.#lasting(async () => {
      const fetched = await this.#source.fetchManifest(reference, this.#signal, attestation);
      return fetched.manifest;
    });
    if (manifest instanceof OciError) return missing(attestation, manifest.message);
    const sboms: SpdxFragment[] = [];
    const problems: string[] = [];
    for (const layer of sbomLayers(manifest)) {
      const parsed = await this.#statement(layer);
      if ('sbom' in parsed) sboms.push(parsed.sbom);
      else problems.push(`Its SBOM ${layer.digest} is not merged: it ${parsed.problem}.`);
    }
    return { sboms, problems };
  }

  async #statement(layer: Descriptor): Promise<ReturnType<typeof parseSbomStatement>> {
    const { maxSbomBytes, maxTotalSbomBytes } = this.#limits;
    if (layer.size > maxSbomBytes)
      return { problem: `has ${layer.size} bytes, more than maxSbomBytes (${maxSbomBytes})` };
    if (this.bytes + layer.size > maxTotalSbomBytes)
      return { problem: 'and those of the inputs before it are larger than maxTotalSbomBytes' };
    const limit = { name: 'maxSbomBytes', bytes: maxSbomBytes };
    const bytes = await this.#lasting(() =>
      readBody(
        this.#source.openBlob(this.#image.reference, layer, this.#signal),
        limit,
        `SBOM ${layer.digest}`,
      ),
    );
    if (bytes instanceof OciError) return { problem: `cannot be read (${bytes.code})` };
    this.bytes += bytes.length;
    return parseSbomStatement(bytes, this.#image.digest);
  }

  async #lasting<T>(action: () => Promise<T>): Promise<T | OciError> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof OciError && LASTING.has(error.code)) return error;
      throw error;
    }
  }
}

function missing({ digest }: Descriptor, why: string): InputSboms {
  return { sboms: [], problems: [`Its attestation ${digest} cannot be used: ${why}.`] };
}
