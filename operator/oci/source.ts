import type { Descriptor, Digest, ImageReference, Platform, ResolvedImage } from './types.ts';

/** Where images come from: a registry, or anything that answers like one. */
export interface ImageSource {
  /**
   * Digest that the reference stands for now (of the index, if it names one): the cheap question
   * whether a tag has moved. A reference with a digest is answered without asking anybody.
   */
  resolveDigest(reference: ImageReference, signal: AbortSignal): Promise<Digest>;

  /**
   * Follows the reference to the manifest and configuration for one platform, both verified. Throws
   * {@link OciError} `ImageNotFound`, `PlatformMissing`, `RegistryUnauthorized`, `RegistryUnreachable`, …
   */
  resolve(reference: ImageReference, platform: Platform, signal: AbortSignal): Promise<ResolvedImage>;

  /**
   * The bytes of a blob as they arrive. They are hashed and counted on the way: on another digest or
   * size than the descriptor's the iteration throws before it ends, so a consumer must not act on what
   * it got until the iteration is over.
   */
  openBlob(reference: ImageReference, descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>;
}
