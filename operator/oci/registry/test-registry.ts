import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { MEDIA_TYPES } from '../manifest.ts';
import { type Descriptor, type Digest, sha256Digest } from '../types.ts';

/** What a request looked like when it came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Answers a request, or returns false to leave it to the registry. `count` is how often this method and path came, from 1. */
export type Fault = (request: IncomingMessage, response: ServerResponse, count: number) => boolean;

/** For tests: a registry in this process that can be told to misbehave. Keeps what it serves in memory. */
export class TestRegistry implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly #server: Server;
  readonly #manifests = new Map<string, { readonly bytes: Buffer; readonly mediaType: string }>();
  readonly #blobs = new Map<string, Buffer>();
  readonly #faults: Fault[] = [];
  readonly #counts = new Map<string, number>();
  #uploads = 0;

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<TestRegistry> {
    const registry = new TestRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  /** `127.0.0.1:PORT`. */
  get name(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `http://${this.name}`;
  }

  /** Faults are asked in the order in which they were added. */
  misbehave(fault: Fault): void {
    this.#faults.push(fault);
  }

  /** How often a path was asked for. */
  count(method: string, path: string): number {
    return this.#counts.get(`${method} ${path}`) ?? 0;
  }

  addBlob(bytes: Buffer, mediaType: string): Descriptor {
    const digest = digestOf(bytes);
    this.#blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  addManifest(document: unknown, mediaType: string, ...tags: readonly string[]): Descriptor {
    const bytes = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
    const digest = digestOf(bytes);
    for (const name of [digest, ...tags]) this.#manifests.set(name, { bytes, mediaType });
    return { mediaType, digest, size: bytes.length };
  }

  /** An image of the given uncompressed layers. */
  addImage(
    layers: readonly Buffer[],
    { architecture = 'amd64', tags = ['latest'] }: { architecture?: string; tags?: readonly string[] } = {},
  ): { readonly manifest: Descriptor; readonly layers: readonly Descriptor[] } {
    const descriptors = layers.map((layer) => this.addBlob(gzipSync(layer), `${MEDIA_TYPES.ociLayer}+gzip`));
    const config = this.addBlob(
      Buffer.from(
        JSON.stringify({
          architecture,
          os: 'linux',
          config: { Cmd: ['/bin/true'] },
          rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
        }),
      ),
      MEDIA_TYPES.ociConfig,
    );
    const document = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: descriptors };
    return { manifest: this.addManifest(document, MEDIA_TYPES.ociManifest, ...tags), layers: descriptors };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const method = request.method ?? '';
    const path = request.url ?? '';
    this.requests.push({ method, path, headers: { ...request.headers } });
    const key = `${method} ${path}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    if (this.#faults.some((fault) => fault(request, response, count))) return;
    if (method === 'POST' || method === 'PUT') {
      this.#take(request, response, path);
      return;
    }
    const [, kind = '', name = ''] = /^\/v2\/.+\/(manifests|blobs)\/([^/?]+)$/.exec(path) ?? [];
    const manifest = kind === 'manifests' ? this.#manifests.get(name) : undefined;
    const blob = kind === 'blobs' ? this.#blobs.get(name) : undefined;
    if (manifest !== undefined) {
      const headers = {
        'content-type': manifest.mediaType,
        'docker-content-digest': digestOf(manifest.bytes),
      };
      response.writeHead(200, { ...headers, 'content-length': manifest.bytes.length });
      response.end(method === 'HEAD' ? undefined : manifest.bytes);
    } else if (blob !== undefined) {
      sendBlob(request, response, blob);
    } else {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
    }
  }

  /** What was pushed: the bytes of a blob or manifest by digest or tag. */
  pushed(name: string): Buffer | undefined {
    return this.#blobs.get(name) ?? this.#manifests.get(name)?.bytes;
  }

  /** Pushes (distribution-spec, "POST then PUT", and "Pushing Manifests"). */
  #take(request: IncomingMessage, response: ServerResponse, path: string): void {
    const url = new URL(path, this.url);
    if (request.method === 'POST') {
      this.#uploads += 1;
      response.writeHead(202, { location: `${url.pathname}${this.#uploads}?_state=a%20b` });
      response.end();
      return;
    }
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const bytes = Buffer.concat(parts);
      const digest = digestOf(bytes);
      const [, kind, name = ''] = /\/(manifests|blobs\/uploads)\/([^/]+)$/.exec(url.pathname) ?? [];
      if (kind === 'manifests') {
        this.#manifests.set(name, { bytes, mediaType: request.headers['content-type'] ?? '' });
      } else if (url.searchParams.get('digest') === digest && url.search.startsWith('?_state=a%20b&')) {
        this.#blobs.set(digest, bytes);
      } else {
        response.writeHead(400, { 'content-type': 'application/json' });
        response.end('{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}');
        return;
      }
      response.writeHead(201, { 'docker-content-digest': digest });
      response.end();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Sends a blob, or the rest of one from where `Range` says. */
export function sendBlob(request: IncomingMessage, response: ServerResponse, blob: Buffer): void {
  const start = /^bytes=([0-9]+)-$/.exec(request.headers.range ?? '')?.[1];
  if (start === undefined) {
    response.writeHead(200, { 'content-length': blob.length });
    response.end(blob);
    return;
  }
  const rest = blob.subarray(Number(start));
  const range = `bytes ${start}-${blob.length - 1}/${blob.length}`;
  response.writeHead(206, { 'content-length': rest.length, 'content-range': range });
  response.end(rest);
}

/** Announces a whole blob, sends the first `bytes` of what is asked for, and breaks the connection. */
export function breakOff(
  request: IncomingMessage,
  response: ServerResponse,
  blob: Buffer,
  bytes: number,
): void {
  const start = Number(/^bytes=([0-9]+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const range = `bytes ${start}-${blob.length - 1}/${blob.length}`;
  response.writeHead(start > 0 ? 206 : 200, {
    'content-length': blob.length - start,
    ...(start > 0 && { 'content-range': range }),
  });
  response.write(blob.subarray(start, start + bytes), () => response.socket?.destroy());
}

export function digestOf(bytes: Uint8Array): Digest {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}
