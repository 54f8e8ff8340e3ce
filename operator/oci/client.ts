import { createHash } from 'node:crypto';
import { limitExceeded, OciError } from './errors.ts';
import { isLayerMediaType } from './layer.ts';
import { ACCEPT_MANIFESTS, type Manifest, parseImageConfig, parseManifest } from './manifest.ts';
import { attestationsOf, checkPlatform, choosePlatform } from './platform.ts';
import { formatReference } from './reference.ts';
import { streamBlob } from './registry/blob.ts';
import { readBody } from './registry/body.ts';
import { connectionError } from './registry/connection.ts';
import { withDeadline } from './registry/deadline.ts';
import { type Endpoint, endpointsOf } from './registry/endpoint.ts';
import type { RegistryClientOptions } from './registry/options.ts';
import { Transport } from './registry/transport.ts';
import type { ImageSource } from './source.ts';
import {
  type Descriptor,
  type Digest,
  type ImageReference,
  isDigest,
  type Platform,
  type ResolvedImage,
  sha256Digest,
} from './types.ts';

/** A manifest as it was served, its digest computed from its bytes. */
export interface FetchedManifest {
  readonly manifest: Manifest;
  readonly digest: Digest;
  readonly bytes: Buffer;
}

/** The tag that a reference without tag and digest stands for. */
const DEFAULT_TAG = 'latest';
/** An index may list indexes, but not for ever. */
const MAX_INDEX_DEPTH = 3;

/** Reads images from OCI registries (OCI distribution-spec, "Pull"), mirrors first where there are any. */
export class RegistryClient implements ImageSource, AsyncDisposable {
  readonly #options: RegistryClientOptions;
  readonly #transport: Transport;

  constructor(options: RegistryClientOptions = {}) {
    this.#options = options;
    this.#transport = new Transport(options);
  }

  async resolveDigest(reference: ImageReference, signal: AbortSignal): Promise<Digest> {
    if (reference.digest !== undefined) return reference.digest;
    const what = `image ${formatReference(reference)}`;
    const { documentTimeout } = this.#transport.limits;
    const announced = await this.#fromAny(reference, signal, (endpoint) =>
      withDeadline(signal, documentTimeout, what, (deadline) =>
        this.#announcedDigest(endpoint, reference, what, deadline),
      ),
    );
    // The header is optional, and may be of another algorithm.
    if (announced !== undefined && isDigest(announced)) return announced;
    return (await this.fetchManifest(reference, signal)).digest;
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
    const document = await this.#document(reference, manifest.config, signal);
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
   * The manifest or index that the reference names, verified against its digest if it has one, and
   * against a descriptor's size if one is given.
   */
  async fetchManifest(
    reference: ImageReference,
    signal: AbortSignal,
    descriptor?: Descriptor,
  ): Promise<FetchedManifest> {
    const what = `image ${formatReference(reference)}`;
    const wanted = reference.digest ?? reference.tag ?? DEFAULT_TAG;
    const { documentTimeout } = this.#transport.limits;
    return this.#fromAny(reference, signal, async (endpoint) => {
      const where = `${what}: manifest from registry ${endpoint.name}`;
      const { bytes, headers } = await withDeadline(signal, documentTimeout, where, (deadline) =>
        this.#get(endpoint, `manifests/${wanted}`, what, deadline),
      );
      const digest = digestOf(bytes);
      if (reference.digest !== undefined && digest !== reference.digest)
        throw digestMismatch(where, reference.digest, digest);
      if (descriptor !== undefined && descriptor.size !== bytes.length) {
        const sizes = `should have ${descriptor.size} bytes, but it has ${bytes.length}`;
        throw new OciError('SizeMismatch', `${where}: ${digest} ${sizes}`);
      }
      const announced = headers['docker-content-digest'];
      if (announced !== undefined && isDigest(announced) && announced !== digest) {
        throw digestMismatch(where, announced, digest);
      }
      return { manifest: parseManifest(bytes, headers['content-type'], where), digest, bytes };
    });
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
      this.#fromAny(reference, signal, (endpoint) => {
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

  async #document(reference: ImageReference, descriptor: Descriptor, signal: AbortSignal): Promise<Buffer> {
    const where = `image ${formatReference(reference)}: configuration ${descriptor.digest}`;
    const { maxConfigBytes, documentTimeout } = this.#transport.limits;
    if (descriptor.size > maxConfigBytes) throw limitExceeded('maxConfigBytes', maxConfigBytes, where);
    const limit = { name: 'maxConfigBytes', bytes: maxConfigBytes };
    return withDeadline(signal, documentTimeout, where, (deadline) =>
      readBody(this.openBlob(reference, descriptor, deadline), limit, where),
    );
  }

  async #announcedDigest(
    endpoint: Endpoint,
    reference: ImageReference,
    what: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const path = `manifests/${reference.tag ?? DEFAULT_TAG}`;
    const headers = { accept: ACCEPT_MANIFESTS };
    try {
      const response = await this.#transport.request({
        endpoint,
        method: 'HEAD',
        path,
        headers,
        signal,
        what,
      });
      await response.body.dump();
      return response.headers['docker-content-digest'];
    } catch (error) {
      // Some registries do not know HEAD; GET will tell.
      if (error instanceof OciError && error.code === 'RegistryRefused') return undefined;
      throw error;
    }
  }

  async #get(
    endpoint: Endpoint,
    path: string,
    what: string,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: Buffer; readonly headers: Readonly<Record<string, string>> }> {
    const headers = { accept: ACCEPT_MANIFESTS };
    const limit = { name: 'maxManifestBytes', bytes: this.#transport.limits.maxManifestBytes };
    for (let failures = 1; ; failures++) {
      const response = await this.#transport.request({
        endpoint,
        method: 'GET',
        path,
        headers,
        signal,
        what,
      });
      try {
        return { bytes: await readBody(response.body, limit, what), headers: response.headers };
      } catch (error) {
        const broken = connectionError(error, signal);
        if (broken === error || signal.aborted) throw broken;
        const pause = this.#transport.pause(failures);
        if (pause === undefined) {
          const message = `${what}: registry ${endpoint.name} breaks off its answers; check the network`;
          throw new OciError('RegistryUnreachable', message, { cause: broken });
        }
        await this.#transport.sleep(pause, signal);
      }
    }
  }

  /** Asks each endpoint in turn. The registry's own answer is what counts when all fail. */
  async #fromAny<T>(
    reference: ImageReference,
    signal: AbortSignal,
    ask: (endpoint: Endpoint) => Promise<T>,
  ): Promise<T> {
    const endpoints = endpointsOf(reference, this.#options);
    const mirrors: string[] = [];
    for (const [at, endpoint] of endpoints.entries()) {
      try {
        return await ask(endpoint);
      } catch (error) {
        if (signal.aborted || !(error instanceof OciError)) throw error;
        if (at < endpoints.length - 1) mirrors.push(`${endpoint.name} (${error.code})`);
        else if (mirrors.length === 0) throw error;
        else
          throw new OciError(error.code, `${error.message}; mirrors failed too: ${mirrors.join(', ')}`, {
            cause: error,
          });
      }
    }
    throw new Error('a registry without endpoints');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }
}

function digestOf(bytes: Uint8Array): Digest {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}

function digestMismatch(where: string, wanted: Digest, actual: Digest): OciError {
  return new OciError('DigestMismatch', `${where}: it should be ${wanted}, but what came is ${actual}`);
}
