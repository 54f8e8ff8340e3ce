import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../../errors.ts';
import { StorageError } from '../store.ts';
import { EndpointError } from './endpoint-error.ts';
import type { BuildPod } from './identity.ts';
import {
  ANNOUNCE_PATH,
  announceRequest,
  ENDPOINT_ERRORS,
  type ErrorAnswer,
  LOOKUP_PATH,
  lookupRequest,
} from './protocol.ts';
import { readRequest } from './request-body.ts';
import type { ArtifactService } from './service.ts';

/** Node's own limits, set: a token is at most a few KiB, a request small, and nobody has to be slow. */
const MAX_HEADER_BYTES = 24 * 1024;
const MAX_TOKEN_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 512;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
const KEEP_ALIVE_MS = 30_000;
/** From the last byte of the request to the first of the answer. */
const ANSWER_DEADLINE_MS = 30_000;
/** Identifications under way: what a flood of invented tokens can make us ask of the API server. */
const MAX_IDENTIFICATIONS = 32;
/** How long requests under way may take to end when the server is closed. */
const CLOSE_GRACE_MS = 5_000;

/** Certificate chain and private key, PEM. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface ArtifactServerOptions {
  readonly certificate: ServerCertificate;
  readonly service: Pick<ArtifactService, 'announce' | 'lookup'>;
  /** Throws EndpointError `Unauthenticated` or `Unavailable`. */
  readonly identify: (token: string, options: { readonly signal: AbortSignal }) => Promise<BuildPod>;
  readonly log: Log;
  /** Called once a request, with the time from its head to the end of the answer. */
  readonly observe?: (request: {
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  }) => void;
}

/** The HTTPS server that build pods speak to. */
export class ArtifactServer implements AsyncDisposable {
  readonly #options: ArtifactServerOptions;
  readonly #server: Server;
  #identifications = 0;

  constructor(options: ArtifactServerOptions) {
    this.#options = options;
    this.#server = createServer({
      ...options.certificate,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 5_000,
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('request', (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        options.log.error('artifact endpoint: an answer failed', { error });
        response.destroy();
      });
    });
  }

  async listen(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** New connections get this certificate; those that exist keep theirs. Throws if it does not fit its key. */
  setCertificate(certificate: ServerCertificate): void {
    this.#server.setSecureContext({ ...certificate, minVersion: 'TLSv1.2' });
  }

  /** Stops listening and waits for requests under way, a short while. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    const cut = setTimeout(() => this.#server.closeAllConnections(), CLOSE_GRACE_MS);
    await closed;
    clearTimeout(cut);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    const route = new URL(request.url ?? '/', 'https://endpoint').pathname;
    const abort = new AbortController();
    response.on('close', () => {
      const known = route === ANNOUNCE_PATH || route === LOOKUP_PATH ? route : 'other';
      this.#options.observe?.({
        route: known,
        status: response.statusCode,
        seconds: (performance.now() - started) / 1000,
      });
      abort.abort(new Error('the pod closed the connection'));
    });
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(ANSWER_DEADLINE_MS)]);
    let pod: BuildPod | undefined;
    try {
      const answer = this.#route(request, route);
      pod = await this.#identify(tokenOf(request), { signal });
      send(response, 200, await answer(pod, { signal }));
    } catch (error) {
      if (response.destroyed) return;
      const refusal = signal.aborted
        ? new EndpointError('Unavailable', 'it took too long')
        : refusalOf(error);
      this.#report(refusal, error, { route, pod });
      // What is left of the request is not read: it may be endless.
      if (!request.complete) response.setHeader('connection', 'close');
      if (refusal.code === 'Unauthenticated') response.setHeader('www-authenticate', 'Bearer');
      if (refusal.retryAfter !== undefined) response.setHeader('retry-after', String(refusal.retryAfter));
      const body: ErrorAnswer = { error: { code: refusal.code, message: refusal.message.slice(0, 4096) } };
      send(response, ENDPOINT_ERRORS[refusal.code], body);
    }
  }

  /** What answers this request, once it is known who asks; not a byte of the body is read before. */
  #route(
    request: IncomingMessage,
    route: string,
  ): (pod: BuildPod, options: { readonly signal: AbortSignal }) => Promise<unknown> {
    const { service } = this.#options;
    if (request.method !== 'POST' || (route !== ANNOUNCE_PATH && route !== LOOKUP_PATH)) {
      throw new EndpointError('NotFound', `there is no ${request.method} ${route.slice(0, 100)}`);
    }
    if (route === ANNOUNCE_PATH) {
      return async (pod, options) =>
        service.announce(pod, await readRequest(request, announceRequest), options);
    }
    return async (pod, options) => service.lookup(pod, await readRequest(request, lookupRequest), options);
  }

  async #identify(token: string, options: { readonly signal: AbortSignal }): Promise<BuildPod> {
    if (this.#identifications >= MAX_IDENTIFICATIONS) {
      throw new EndpointError('Throttled', 'too many pods at once', { retryAfter: 1 });
    }
    this.#identifications += 1;
    try {
      return await this.#options.identify(token, options);
    } finally {
      this.#identifications -= 1;
    }
  }

  #report(
    refusal: EndpointError,
    error: unknown,
    about: { readonly route: string; readonly pod: BuildPod | undefined },
  ): void {
    const { log } = this.#options;
    const fields = { ...about.pod, route: about.route, code: refusal.code, reason: refusal.message };
    if (refusal.code === 'InternalError')
      log.error('artifact endpoint: a request failed', { ...fields, error });
    else if (refusal.code === 'Unavailable')
      log.warn('artifact endpoint: a request cannot be served', { ...fields, cause: causesOf(error) });
    else log.info('artifact endpoint: a request was refused', fields);
  }
}

/** Throws `Unauthenticated` without a bearer token (RFC 6750, section 2.1). */
function tokenOf(request: IncomingMessage): string {
  const token = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined || token.length > MAX_TOKEN_BYTES) {
    throw new EndpointError('Unauthenticated', 'the request carries no bearer token');
  }
  return token;
}

/** What a pod is told. Errors of storage name keys and buckets, which are no secret to it, but no address. */
function refusalOf(error: unknown): EndpointError {
  if (error instanceof EndpointError) return error;
  if (error instanceof StorageError) {
    return new EndpointError('Unavailable', `object storage cannot serve this now (${error.code})`, {
      cause: error,
    });
  }
  return new EndpointError('InternalError', 'the endpoint failed; its log says why', { cause: error });
}

function causesOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : messageOf(cause);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}
