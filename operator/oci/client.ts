import { limitExceeded, OciError } from './errors.ts';
import { isLayerMediaType } from './layer.ts';
import { type Manifest, parseImageConfig, parseManifest } from './manifest.ts';
import { attestationsOf, checkPlatform, choosePlatform } from './platform.ts';
import { formatReference } from './reference.ts';
import { streamBlob } from './registry/blob.ts';
import { readBody } from './registry/body.ts';
import { withDeadline } from './registry/deadline.ts';
import type { RegistryClientOptions } from './registry/options.ts';
import { DocumentReader, type ServedDocument } from './registry/reader.ts';
import { Transport } from './registry/transport.ts';
import type { ImageSource } from './source.ts';
import {
  type Descriptor,
  type Digest,
  type ImageReference,
  isDigest,
  type Platform,
  type ResolvedImage,
} from './types.ts';

/** The tag that a reference without tag and digest stands for. */
const DEFAULT_TAG = 'latest';
/** An index may list indexes, but not for ever. */
const MAX_INDEX_DEPTH = 3;

/** Reads images from OCI registries (OCI distribution-spec, "Pull"), mirrors first where there are any. */
export class RegistryClient implements ImageSource, AsyncDisposable {
  readonly #transport: Transport;
  readonly #reader: DocumentReader;

  constructor(options: RegistryClientOptions = {}) {
    this.#transport = new Transport(options);
    this.#reader = new DocumentReader(this.#transport, options);
  }

  async resolveDigest(reference: ImageReference, signal: AbortSignal): Promise<Digest> {
    if (reference.digest !== undefined) return reference.digest;
    const what = `image ${formatReference(reference)}`;
    const announced = await this.#reader.announcedDigest(
      reference,
      reference.tag ?? DEFAULT_TAG,
      signal,
      what,
    );
    // The header is optional, and may be of another algorithm.
    if (announced !== undefined && isDigest(announced)) return announced;
    return (await this.fetchDocument(reference, signal)).digest;
  }

  async resolve(reference: ImageReference, platform: Platform, signal: AbortSignal): Promise<ResolvedImage> {
    const name = `image ${formatReference(reference)}`;
    let fetched = await this.fetchManifest(reference, signal);
    let index: Digest | undefined;
    let attestations: readonly Descriptor[] = [];
    for (let depth = 0; fetched.manifest.kind === 'index'; depth++) {
      if (depth >= MAX_INDEX_DEPTH) throw limitExceeded('MAX_INDEX_DEPTH', MAX_INDEX_DEPTH, name);
      index ??= fetched.digest;
      const chosen = choosePlatform(fetched.manifest.manifests, platform, name);
      attestations = attestationsOf(fetched.manifest.manifests, chosen);
      fetched = await this.fetchManifest({ ...reference, digest: chosen.digest }, signal, chosen);
    }
    const { manifest, digest } = fetched;
    const document = await this.readBlob(reference, manifest.config, signal);
    const config = parseImageConfig(document, `${name} (configuration ${manifest.config.digest})`);
    checkPlatform(config, platform, name);
    if (config.diffIds.length !== manifest.layers.length) {
      throw new OciError(
        'InvalidManifest',
        `${name} (${digest}): ${manifest.layers.length} layers, but ${config.diffIds.length} diff_ids; build the image again`,
      );
    }
    for (const layer of manifest.layers) {
      if (!isLayerMediaType(layer.mediaType)) {
        const type = JSON.stringify(layer.mediaType.slice(0, 100));
        throw new OciError(
          'UnsupportedMediaType',
          `${name} (${digest}): the layer ${layer.digest} is of type ${type}`,
        );
      }
    }
    return {
      reference,
      digest,
      ...(index !== undefined && { index }),
      config,
      layers: manifest.layers,
      ...(attestations.length > 0 && { attestations }),
    };
  }

  /**
   * The document that the reference names, image, index or artifact, verified against its digest if
   * it has one, and against a descriptor's size if one is given.
   */
  async fetchDocument(
    reference: ImageReference,
    signal: AbortSignal,
    descriptor?: Descriptor,
  ): Promise<ServedDocument> {
    const name = reference.digest ?? reference.tag ?? DEFAULT_TAG;
    const what = `image ${formatReference(reference)}`;
    return this.#reader.manifest(reference, name, signal, { what, descriptor });
  }

  /**
   * What refers to a manifest, of one artifact type (OCI distribution-spec, "Listing Referrers"): by
   * the registry's own list, or the tag that stands in for it where there is none.
   */
  async listReferrers(
    reference: ImageReference,
    digest: Digest,
    artifactType: string,
    signal: AbortSignal,
  ): Promise<readonly Descriptor[]> {
    const what = `image ${formatReference(reference)}: what refers to ${digest}`;
    const lists = [
      () => this.#reader.referrers(reference, digest, artifactType, signal, what),
      () => this.#unlessMissing(this.#reader.manifest(reference, digest.replace(':', '-'), signal, { what })),
    ];
    let failure: unknown;
    for (const list of lists) {
      let document: ServedDocument | undefined;
      try {
        document = await list();
      } catch (error) {
        // A mirror may have the tag where the registry, which alone knows of lists, is out of reach.
        if (signal.aborted || !(error instanceof OciError)) throw error;
        failure ??= error;
      }
      if (document === undefined) continue;
      const manifest = parseManifest(document.bytes, document.contentType, document.where);
      if (manifest.kind !== 'index') continue;
      const found = manifest.manifests.filter(
        (entry) => (entry.artifactType ?? artifactType) === artifactType,
      );
      if (found.length > 0) return found;
    }
    if (failure !== undefined) throw failure;
    return [];
  }

  async #unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
    try {
      return await promise;
    } catch (error) {
      if (error instanceof OciError && error.code === 'ImageNotFound') return undefined;
      throw error;
    }
  }

  openBlob(
    reference: ImageReference,
    descriptor: Descriptor,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    const what = `image ${formatReference(reference)}: blob ${descriptor.digest}`;
    const { limits } = this.#transport;
    if (descriptor.size > limits.maxBlobBytes) throw limitExceeded('maxBlobBytes', limits.maxBlobBytes, what);
    const open = (offset: number): ReturnType<Transport['request']> =>
      this.#reader.fromAny(reference, signal, (endpoint) => {
        const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
        return this.#transport.request({
          endpoint,
          method: 'GET',
          path: `blobs/${descriptor.digest}`,
          headers,
          signal,
          what,
        });
      });
    return streamBlob({
      descriptor,
      open,
      signal,
      limits,
      now: this.#transport.now,
      pause: (failures) => this.#transport.pause(failures),
      sleep: (milliseconds, aborted) => this.#transport.sleep(milliseconds, aborted),
      where: what,
    });
  }

  /** A small blob, whole and verified. Throws `LimitExceeded` on more than `maxConfigBytes`. */
  async readBlob(reference: ImageReference, descriptor: Descriptor, signal: AbortSignal): Promise<Buffer> {
    const where = `image ${formatReference(reference)}: ${descriptor.digest}`;
    const { maxConfigBytes, documentTimeout } = this.#transport.limits;
    if (descriptor.size > maxConfigBytes) throw limitExceeded('maxConfigBytes', maxConfigBytes, where);
    const limit = { name: 'maxConfigBytes', bytes: maxConfigBytes };
    return withDeadline(signal, documentTimeout, where, (deadline) =>
      readBody(this.openBlob(reference, descriptor, deadline), limit, where),
    );
  }

  /** The manifest or index that the reference names, verified as by {@link fetchDocument}, and read. */
  async fetchManifest(
    reference: ImageReference,
    signal: AbortSignal,
    descriptor?: Descriptor,
  ): Promise<{ readonly manifest: Manifest; readonly digest: Digest }> {
    const { bytes, digest, contentType, where } = await this.fetchDocument(reference, signal, descriptor);
    return { manifest: parseManifest(bytes, contentType, where), digest };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }
}
