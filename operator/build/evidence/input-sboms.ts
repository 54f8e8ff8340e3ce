import { descriptors } from '../../oci/descriptor.ts';
import { OciError, type OciErrorCode } from '../../oci/errors.ts';
import { parseObject } from '../../oci/json-document.ts';
import { readBody } from '../../oci/registry/body.ts';
import type { ServedDocument } from '../../oci/registry/reader.ts';
import type { ImageSource } from '../../oci/source.ts';
import type { Descriptor, ImageReference, ResolvedImage } from '../../oci/types.ts';
import { parseSbomStatement, sbomLayers } from './sbom-statement.ts';
import type { SpdxFragment } from './spdx-fragment.ts';

/** Where images' attestations come from: the registry of the images themselves. */
export interface AttestationSource extends Pick<ImageSource, 'openBlob'> {
  fetchDocument(
    reference: ImageReference,
    signal: AbortSignal,
    descriptor?: Descriptor,
  ): Promise<Pick<ServedDocument, 'bytes' | 'where'>>;
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
  const reader = new SbomReader(source, signal, limits);
  const results: InputSboms[] = [];
  for (const image of images) results.push(await reader.read(image));
  return results;
}

class SbomReader {
  readonly #source: AttestationSource;
  readonly #signal: AbortSignal;
  readonly #limits: SbomLimits;
  /** Bytes that may still be read. */
  #left: number;

  constructor(source: AttestationSource, signal: AbortSignal, limits: SbomLimits) {
    this.#source = source;
    this.#signal = signal;
    this.#limits = limits;
    this.#left = limits.maxTotalSbomBytes;
  }

  async read(image: ResolvedImage): Promise<InputSboms> {
    const sboms: SpdxFragment[] = [];
    const problems: string[] = [];
    const { maxAttestations } = this.#limits;
    const attestations = image.attestations ?? [];
    if (attestations.length > maxAttestations) {
      problems.push(
        `Of its ${attestations.length} attestations only maxAttestations (${maxAttestations}) were read.`,
      );
    }
    for (const attestation of attestations.slice(0, maxAttestations)) {
      const layers = await this.#layers(image, attestation);
      if (layers instanceof OciError) {
        problems.push(`Its attestation ${attestation.digest} cannot be used (${layers.code}).`);
        continue;
      }
      for (const layer of sbomLayers(layers)) {
        const parsed = await this.#statement(image, layer);
        if ('sbom' in parsed) sboms.push(parsed.sbom);
        else problems.push(`Its SBOM ${layer.digest} is not merged: it ${parsed.problem}.`);
      }
    }
    return { sboms, problems };
  }

  /** Of the manifest of an image or, as newer builders make them, of an artifact. */
  #layers(image: ResolvedImage, attestation: Descriptor): Promise<readonly Descriptor[] | OciError> {
    const reference = { ...image.reference, digest: attestation.digest };
    return lasting(async () => {
      const { bytes, where } = await this.#source.fetchDocument(reference, this.#signal, attestation);
      return descriptors(parseObject(bytes, where), 'layers', where);
    });
  }

  async #statement(image: ResolvedImage, layer: Descriptor): Promise<ReturnType<typeof parseSbomStatement>> {
    const { maxSbomBytes, maxTotalSbomBytes } = this.#limits;
    if (layer.size > maxSbomBytes)
      return { problem: `has ${layer.size} bytes, more than maxSbomBytes (${maxSbomBytes})` };
    if (layer.size > this.#left)
      return { problem: `would make all of them larger than maxTotalSbomBytes (${maxTotalSbomBytes})` };
    this.#left -= layer.size;
    const limit = { name: 'maxSbomBytes', bytes: maxSbomBytes };
    const blob = this.#source.openBlob(image.reference, layer, this.#signal);
    const bytes = await lasting(() => readBody(blob, limit, `SBOM ${layer.digest}`));
    if (bytes instanceof OciError) return { problem: `cannot be read (${bytes.code})` };
    return parseSbomStatement(bytes, image.digest);
  }
}

async function lasting<T>(action: () => Promise<T>): Promise<T | OciError> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof OciError && LASTING.has(error.code)) return error;
    throw error;
  }
}
