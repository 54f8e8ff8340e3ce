import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../errors.ts';
import { bootLayerSize } from '../oci/boot-image.ts';
import { type ObjectReader, StorageError } from '../storage/store.ts';
import { type ByteRange, parseRange } from './byte-range.ts';
import { DistributionError } from './distribution-error.ts';
import type { Found, ImageIndex } from './image-index.ts';
import { openLayer } from './layer-stream.ts';
import { parseRoute, type Route } from './route.ts';

const MAX_HEADER_BYTES = 16 * 1024;
/** A node pulls a few images at a time, three connections each. */
const MAX_CONNECTIONS = 256;
const HEADERS_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 60_000;
/** A connection on which nothing moves, as when the runtime stops reading. */
const IDLE_TIMEOUT_MS = 120_000;
const CLOSE_GRACE_MS = 5_000;

interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** An answered request, or one that ended before its answer did. */
export interface ObservedRequest {
  readonly route: Route['kind'] | 'other';
  readonly method: string;
  readonly status: number;
  /** Bytes of the body that were handed to the connection. */
  readonly bytes: number;
  readonly seconds: number;
  /** False when the connection ended before the body was complete. */
  readonly complete: boolean;
}

export interface BootRegistryOptions {
  readonly index: ImageIndex;
  readonly store: ObjectReader;
  readonly log: Log;
  readonly observe?: (request: ObservedRequest) => void;
  /** A layer that was composed does not have its digest. */
  readonly corrupt?: () => void;
}

/**
 * The pull half of an OCI registry (distribution-spec, "Pull"), by digest alone, over plain HTTP.
 *
 * containerd opens every pull from a loopback address with a TLS ClientHello and falls back to HTTP
 * only when the answer begins with `HTTP/`: an answer to what is no HTTP is as much a part of this as
 * the others.
 */
export class BootRegistry implements AsyncDisposable {
  readonly #options: BootRegistryOptions;
  readonly #server: Server;
  readonly #answering = new WeakSet<Duplex>();
  /** Opened ahead of a request that has not come: Node counts them among the busy ones. */
  readonly #silent = new Set<Duplex>();

  constructor(options: BootRegistryOptions) {
    this.#options = options;
    this.#server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 5_000,
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.timeout = IDLE_TIMEOUT_MS;
    this.#server.on('connection', (socket) => {
      this.#silent.add(socket);
      socket.once('close', () => this.#silent.delete(socket));
    });
    this.#server.on('request', (request, response) => {
      this.#silent.delete(request.socket);
      this.#serve(request, response).catch((error: unknown) => {
        options.log.error('boot registry: an answer failed', { error });
        response.destroy();
      });
    });
    this.#server.on('clientError', (error: Error & { readonly rawPacket?: Buffer }, socket) => {
      this.#refuse(error, socket);
    });
  }

  /** Resolves to the port, which is a free one when `port` is 0. */
  async listen(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Stops listening and waits for pulls under way, a short while; the runtime resumes what is cut. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    for (const socket of this.#silent) socket.destroy();
    const cut = setTimeout(() => this.#server.closeAllConnections(), CLOSE_GRACE_MS);
    await closed;
    clearTimeout(cut);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    const abort = new AbortController();
    const method = request.method ?? '';
    let route: Route | undefined;
    const sent = { bytes: 0 };
    this.#answering.add(request.socket);
    response.on('close', () => {
      this.#answering.delete(request.socket);
      abort.abort(new Error('the client closed the connection'));
      this.#options.observe?.({
        route: route?.kind ?? 'other',
        method: method === 'GET' || method === 'HEAD' ? method : 'other',
        status: response.statusCode,
        bytes: sent.bytes,
        seconds: (performance.now() - started) / 1000,
        complete: response.writableFinished,
      });
    });
    request.resume();
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    try {
      if (method !== 'GET' && method !== 'HEAD')
        throw new DistributionError('UNSUPPORTED', 'this registry is read-only');
      route = parseRoute((request.url ?? '').split('?', 1)[0] ?? '');
      await this.#answer(request, response, route, sent, abort.signal);
    } catch (error) {
      if (response.destroyed) return;
      this.#fail(response, error, request.url);
    }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    route: Route,
    sent: { bytes: number },
    signal: AbortSignal,
  ): Promise<void> {
    if (route.kind === 'base') {
      sendText(response, 200, 'application/json', '{}');
      return;
    }
    const { index } = this.#options;
    const found =
      route.kind === 'manifest'
        ? await index.manifest(route, route.digest)
        : await index.blob(route, route.digest);
    if (found === undefined) {
      const code = route.kind === 'manifest' ? 'MANIFEST_UNKNOWN' : 'BLOB_UNKNOWN';
      throw new DistributionError(
        code,
        `${route.namespace}/${route.image} has no ${route.kind} ${route.digest}`,
      );
    }
    response.setHeader('docker-content-digest', route.digest);
    response.setHeader('etag', `"${route.digest}"`);
    response.setHeader('content-type', found.kind === 'bytes' ? found.mediaType : 'application/octet-stream');
    response.setHeader('accept-ranges', 'bytes');
    const size = found.kind === 'bytes' ? found.bytes.length : bootLayerSize(found.layer.frame);
    const range = rangeOf(request, size, route.digest);
    if (range === 'unsatisfiable') {
      response.setHeader('content-range', `bytes */${size}`);
      throw new DistributionError('RANGE_INVALID', `${route.digest} has ${size} bytes`);
    }
    const part = range === 'whole' ? { first: 0, last: size - 1 } : range;
    try {
      await this.#send(request, response, found, { ...part, partial: range !== 'whole', size }, sent, signal);
    } catch (error) {
      // Listed a moment ago, and removed since.
      if (!(error instanceof StorageError && error.code === 'ObjectNotFound')) throw error;
      index.forget(route);
      throw new DistributionError('BLOB_UNKNOWN', `${route.digest} has been removed`, { cause: error });
    }
  }

  async #send(
    request: IncomingMessage,
    response: ServerResponse,
    found: Found,
    part: ByteRange & { readonly partial: boolean; readonly size: number },
    sent: { bytes: number },
    signal: AbortSignal,
  ): Promise<void> {
    const head = () => {
      response.setHeader('content-length', part.last - part.first + 1);
      if (part.partial) response.setHeader('content-range', `bytes ${part.first}-${part.last}/${part.size}`);
      response.statusCode = part.partial ? 206 : 200;
    };
    if (request.method === 'HEAD') {
      head();
      response.end();
      return;
    }
    if (found.kind === 'bytes') {
      head();
      sent.bytes = part.last - part.first + 1;
      response.end(found.bytes.subarray(part.first, part.last + 1));
      return;
    }
    const [stream, checking] = await openLayer(this.#options.store, found, part, { signal });
    head();
    const counted = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of chunks) {
        sent.bytes += chunk.length;
        yield chunk;
      }
    };
    const whole =
      checking === undefined
        ? pipeline(stream, counted, response)
        : pipeline(stream, checking, counted, response);
    // From the first byte on an error can only be told by cutting the connection: the pipeline does that.
    await whole.catch((error: unknown) => this.#cut(found.layer.digest, error, signal));
  }

  #cut(digest: string, error: unknown, signal: AbortSignal): void {
    const { log } = this.#options;
    if (error instanceof StorageError && error.code === 'ChecksumMismatch') {
      this.#options.corrupt?.();
      log.error('boot registry: what is stored does not compose the layer that its record names', {
        digest,
        reason: error.message,
      });
    } else if (signal.aborted) log.debug('boot registry: the client went away', { digest });
    else log.warn('boot registry: a layer was cut short', { digest, reason: messageOf(error) });
  }

  #fail(response: ServerResponse, error: unknown, url: string | undefined): void {
    const { log } = this.#options;
    const refusal = refusalOf(error);
    const fields = { url: url?.slice(0, 500), code: refusal.code, reason: refusal.message };
    if (refusal.status >= 500)
      log.error('boot registry: a request cannot be served', { ...fields, cause: messageOf(error) });
    else log.debug('boot registry: a request was refused', fields);
    for (const name of ['docker-content-digest', 'etag', 'accept-ranges']) response.removeHeader(name);
    if (refusal.code === 'UNSUPPORTED') response.setHeader('allow', 'GET, HEAD');
    if (refusal.status === 429 || refusal.status === 503) response.setHeader('retry-after', '5');
    sendText(response, refusal.status, 'application/json', refusal.body);
  }

  /** Answers what is no HTTP. A ClientHello comes with every pull and is nothing to be told of. */
  #refuse(error: Error & { readonly rawPacket?: Buffer }, socket: Duplex): void {
    // In the middle of an answer, a second one would pass for a part of the first.
    if (!socket.writable || this.#answering.has(socket)) {
      socket.destroy();
      return;
    }
    const hello = error.rawPacket?.[0] === 0x16 && error.rawPacket[1] === 0x03;
    if (!hello)
      this.#options.log.debug('boot registry: a connection does not speak HTTP', { reason: error.message });
    socket.on('error', () => socket.destroy());
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  }
}

/** `If-Range` asks for a part only of what the client knows (RFC 9110, section 13.1.5): our tags are digests. */
function rangeOf(request: IncomingMessage, size: number, digest: string): ReturnType<typeof parseRange> {
  const known = request.headers['if-range'];
  if (request.method !== 'GET' || (known !== undefined && known !== `"${digest}"`)) return 'whole';
  return parseRange(request.headers.range, size);
}

function refusalOf(error: unknown): DistributionError {
  if (error instanceof DistributionError) return error;
  if (error instanceof StorageError && error.code !== 'InvalidRecord') {
    return new DistributionError('UNAVAILABLE', `object storage cannot serve this now (${error.code})`, {
      cause: error,
    });
  }
  return new DistributionError('UNKNOWN', 'the registry failed; its log says why', { cause: error });
}

function sendText(response: ServerResponse, status: number, contentType: string, text: string): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
