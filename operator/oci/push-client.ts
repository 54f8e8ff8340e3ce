import { Readable } from 'node:stream';
import { OciError } from './errors.ts';
import { ConnectionError, type WireResponse } from './registry/connection.ts';
import { withDeadline } from './registry/deadline.ts';
import { type Endpoint, registryEndpoint } from './registry/endpoint.ts';
import type { RegistryClientOptions } from './registry/options.ts';
import { redirectTarget } from './registry/redirect.ts';
import { discard, Transport } from './registry/transport.ts';
import { type Descriptor, type Digest, type ImageReference, isDigest } from './types.ts';

/** Where a push goes: a registry itself, never a mirror of it. */
export type PushTarget = Pick<ImageReference, 'registry' | 'repository'>;

/** Bytes of a blob from the first on. Called again when an upload begins anew. */
export type OpenBlob = (signal: AbortSignal) => Promise<Readable>;

export interface PushedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

const NONE: ReadonlySet<number> = new Set();
const THERE: ReadonlySet<number> = new Set([200]);
const THERE_OR_NOT: ReadonlySet<number> = new Set([200, 404]);
/** 201 by the specification; some registries say it otherwise. */
const TAKEN: ReadonlySet<number> = new Set([200, 201, 204]);
const BLOB_TYPE = 'application/octet-stream';

/**
 * Writes blobs and manifests into one repository (OCI distribution-spec, "Push"): each blob in one piece, and
 * only if it is not there. What fails for a reason that may pass is begun again from its start.
 * Errors are those of pulls; `RegistryRefused` for what a registry does not take.
 */
export class PushClient implements AsyncDisposable {
  readonly #options: RegistryClientOptions;
  readonly #transport: Transport;
  readonly #endpoint: Endpoint;
  readonly #name: string;

  constructor(target: PushTarget, options: RegistryClientOptions = {}) {
    this.#options = options;
    this.#transport = new Transport(options, 'push');
    this.#endpoint = registryEndpoint(target, options);
    this.#name = `push to ${target.registry}/${target.repository}`;
  }

  /** Gives whether the bytes had to be sent. The stream that `open` gives is consumed or destroyed. */
  async pushBlob(
    { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
    open: OpenBlob,
    signal: AbortSignal,
  ): Promise<'pushed' | 'present'> {
    const subject = { endpoint: this.#endpoint, signal, what: `${this.#name}: blob ${digest}` };
    let outcome: 'pushed' | 'present' = 'present';
    const response = await this.#transport.exchange(subject, TAKEN, async () => {
      const present = await this.#transport.send({ ...subject, method: 'HEAD', path: `blobs/${digest}` });
      outcome = 'present';
      if (present.status !== 404) return expectStatus(present, THERE, subject.what);
      await discard(present);
      outcome = 'pushed';
      return await this.#upload(subject, { digest, size }, open);
    });
    await discard(response);
    return outcome;
  }

  /** Under its digest, and under a tag: registries may collect what has none. */
  async pushManifest(manifest: PushedManifest, tag: string, signal: AbortSignal): Promise<void> {
    // A registry whose tags cannot be written twice would refuse what it has already.
    if ((await this.#taggedDigest(manifest.mediaType, tag, signal)) === manifest.digest) return;
    for (const name of [manifest.digest, tag]) await this.#putManifest(manifest, name, signal);
  }

  async #upload(
    subject: { readonly endpoint: Endpoint; readonly signal: AbortSignal; readonly what: string },
    { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
    open: OpenBlob,
  ): Promise<WireResponse> {
    const begun = await this.#transport.send({ ...subject, method: 'POST', path: 'blobs/uploads/' });
    if (begun.status !== 202) return expectStatus(begun, NONE, subject.what);
    await discard(begun);
    const where = `${subject.what}: registry ${subject.endpoint.name}: its upload`;
    const path = withDigest(
      redirectTarget(begun.url, begun.headers['location'], this.#options, where),
      digest,
    );
    const done = await this.#transport.send({
      ...subject,
      method: 'PUT',
      path,
      headers: { 'content-type': BLOB_TYPE },
      body: { size, open },
    });
    if (done.status !== 404) return done;
    // Another instance of it answers, or one that has been restarted: nothing but beginning anew can help.
    await discard(done);
    throw new ConnectionError('ConnectionFailed', 'it does not know an upload that it has just begun (404)');
  }

  async #taggedDigest(mediaType: string, tag: string, caller: AbortSignal): Promise<Digest | undefined> {
    const what = `${this.#name}: tag ${tag}`;
    return withDeadline(caller, this.#transport.limits.documentTimeout, what, async (signal) => {
      const request = {
        endpoint: this.#endpoint,
        method: 'HEAD',
        path: `manifests/${tag}`,
        headers: { accept: mediaType },
        signal,
        what,
      } as const;
      const response = await this.#transport.exchange(request, THERE_OR_NOT, () =>
        this.#transport.send(request),
      );
      await discard(response);
      const digest = response.headers['docker-content-digest'];
      return response.status === 200 && digest !== undefined && isDigest(digest) ? digest : undefined;
    });
  }

  async #putManifest(
    { digest, mediaType, bytes }: PushedManifest,
    name: string,
    caller: AbortSignal,
  ): Promise<void> {
    const what = `${this.#name}: manifest ${name}`;
    await withDeadline(caller, this.#transport.limits.documentTimeout, what, async (signal) => {
      const request = {
        endpoint: this.#endpoint,
        method: 'PUT',
        path: `manifests/${name}`,
        headers: { 'content-type': mediaType },
        body: { size: bytes.length, open: () => Promise.resolve(Readable.from([bytes])) },
        signal,
        what,
      } as const;
      const response = await this.#transport.exchange(request, TAKEN, () => this.#transport.send(request));
      await discard(response);
      const stored = response.headers['docker-content-digest'];
      if (stored !== undefined && stored !== digest) {
        throw new OciError(
          'DigestMismatch',
          `${what}: registry ${this.#endpoint.name} keeps it as ${stored.slice(0, 100)}, not as ${digest}: it changes what is pushed`,
        );
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }
}

/** An answer in the middle of an exchange must not pass for its end. */
function expectStatus(response: WireResponse, expected: ReadonlySet<number>, what: string): WireResponse {
  if (response.status >= 400 || expected.has(response.status)) return response;
  response.body.on('error', () => undefined).destroy();
  throw new OciError('RegistryRefused', `${what}: the registry answers ${response.status}, out of turn`);
}

/** Added to what stands there: the rest of the query is the registry's own, and may be signed. */
function withDigest(location: URL, digest: Digest): URL {
  const url = new URL(location);
  url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url;
}
