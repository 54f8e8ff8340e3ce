import { createHash } from 'node:crypto';
import { OciError } from '../errors.ts';
import { ACCEPT_MANIFESTS } from '../manifest.ts';
import { type Descriptor, type Digest, type ImageReference, isDigest, sha256Digest } from '../types.ts';
import { readBody } from './body.ts';
import { connectionError } from './connection.ts';
import { withDeadline } from './deadline.ts';
import { type Endpoint, type EndpointOptions, endpointsOf } from './endpoint.ts';
import type { Transport } from './transport.ts';

/** A manifest, index or artifact as it was served, its digest computed from its bytes. */
export interface ServedDocument {
  readonly bytes: Buffer;
  readonly digest: Digest;
  /** What the registry called it. */
  readonly contentType: string | undefined;
  /** What was read from where, for messages. */
  readonly where: string;
}

/** Reads the documents of repositories, from the mirrors of a registry or from itself. */
export class DocumentReader {
  readonly #transport: Transport;
  readonly #options: EndpointOptions;

  constructor(transport: Transport, options: EndpointOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /**
   * The manifest that a tag or digest names, verified against the digest, and against the size of
   * a descriptor if one is given. `what` is wanted, for messages.
   */
  async manifest(
    reference: ImageReference,
    name: string,
    signal: AbortSignal,
    { what, descriptor }: { readonly what: string; readonly descriptor?: Descriptor | undefined },
  ): Promise<ServedDocument> {
    return this.fromAny(reference, signal, async (endpoint) => {
      const where = `${what}: manifest from registry ${endpoint.name}`;
      const { bytes, headers } = await this.#get(endpoint, `manifests/${name}`, what, signal);
      const digest = digestOf(bytes);
      if (isDigest(name) && digest !== name) throw digestMismatch(where, name, digest);
      if (descriptor !== undefined && descriptor.size !== bytes.length) {
        const sizes = `should have ${descriptor.size} bytes, but it has ${bytes.length}`;
        throw new OciError('SizeMismatch', `${where}: ${digest} ${sizes}`);
      }
      const announced = headers['docker-content-digest'];
      if (announced !== undefined && isDigest(announced) && announced !== digest) {
        throw digestMismatch(where, announced, digest);
      }
      return { bytes, digest, contentType: headers['content-type'], where };
    });
  }

  /** What the registry says is the digest of a tag, undefined if it does not say. */
  async announcedDigest(
    reference: ImageReference,
    tag: string,
    signal: AbortSignal,
    what: string,
  ): Promise<string | undefined> {
    const { documentTimeout } = this.#transport.limits;
    return this.fromAny(reference, signal, (endpoint) =>
      withDeadline(signal, documentTimeout, what, async (deadline) => {
        const path = `manifests/${tag}`;
        const headers = { accept: ACCEPT_MANIFESTS };
        try {
          const request = { endpoint, method: 'HEAD', path, headers, signal: deadline, what } as const;
          const response = await this.#transport.request(request);
          await response.body.dump();
          return response.headers['docker-content-digest'];
        } catch (error) {
          // Some registries do not know HEAD; GET will tell.
          if (error instanceof OciError && error.code === 'RegistryRefused') return undefined;
          throw error;
        }
      }),
    );
  }

  /** The answer of the referrers API (distribution-spec, "Listing Referrers"), undefined where there is none. */
  async referrers(
    reference: ImageReference,
    digest: Digest,
    artifactType: string,
    signal: AbortSignal,
    what: string,
  ): Promise<ServedDocument | undefined> {
    const path = `referrers/${digest}?artifactType=${encodeURIComponent(artifactType)}`;
    try {
      return await this.fromAny(reference, signal, async (endpoint) => {
        const { bytes, headers } = await this.#get(endpoint, path, what, signal);
        const where = `${what}: referrers from registry ${endpoint.name}`;
        return { bytes, digest: digestOf(bytes), contentType: headers['content-type'], where };
      });
    } catch (error) {
      if (error instanceof OciError && (error.code === 'ImageNotFound' || error.code === 'RegistryRefused'))
        return undefined;
      throw error;
    }
  }

  async #get(
    endpoint: Endpoint,
    path: string,
    what: string,
    caller: AbortSignal,
  ): Promise<{ readonly bytes: Buffer; readonly headers: Readonly<Record<string, string>> }> {
    const { documentTimeout } = this.#transport.limits;
    return withDeadline(caller, documentTimeout, what, async (signal) => {
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
    });
  }

  /** Asks each endpoint in turn. The registry's own answer is what counts when all fail. */
  async fromAny<T>(
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
}

function digestOf(bytes: Uint8Array): Digest {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}

function digestMismatch(where: string, wanted: Digest, actual: Digest): OciError {
  return new OciError('DigestMismatch', `${where}: it should be ${wanted}, but what came is ${actual}`);
}
