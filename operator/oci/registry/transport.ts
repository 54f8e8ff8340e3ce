import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { OciError } from '../errors.ts';
import { readBody } from './body.ts';
import { parseChallenges } from './challenge.ts';
import { ConnectionError, Connections, type WireResponse } from './connection.ts';
import { CredentialStore } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import { REGISTRY_LIMITS, type RegistryLimits } from './limits.ts';
import type { RegistryClientOptions } from './options.ts';
import { isRedirect, redirectTarget } from './redirect.ts';
import { isRetryable, parseRetryAfter, RETRY_POLICY, retryDelay } from './retry.ts';
import { Tokens } from './tokens.ts';

/** A request for something of a repository. */
export interface RegistryRequest {
  readonly endpoint: Endpoint;
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  /** Below the repository: `manifests/…` or `blobs/…`; or the address that the registry gave for it. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of so many bytes; opened anew each time that it is sent. */
  readonly body?: { readonly size: number; readonly open: (signal: AbortSignal) => Promise<Readable> };
  readonly signal: AbortSignal;
  /** What is wanted, for messages. */
  readonly what: string;
}

const ERROR_BODY = { name: 'error body', bytes: 8192 };
/** What is left of an answer that is of no interest is read, to keep the connection, up to this many bytes for so long. */
const DUMP = { limit: 16_384, timeout: 2000 };

const BRINGS_IT: ReadonlySet<number> = new Set([200, 206]);
const CHANGES: ReadonlySet<string> = new Set(['POST', 'PUT']);
/** Redirects after which the method is the same (RFC 9110, section 15.4). */
const KEEPS_METHOD: ReadonlySet<number> = new Set([307, 308]);

/** What a transport is for: what it asks tokens for, and what its errors advise. */
export type Access = 'pull' | 'push';

/**
 * Speaks to registries: authentication, redirects, retries. Gives back answers that bring what was
 * asked for, and coded errors for all others.
 */
export class Transport implements AsyncDisposable {
  readonly limits: RegistryLimits;
  readonly now: () => number;
  readonly #options: RegistryClientOptions;
  readonly #connections: Connections;
  readonly #tokens: Tokens;
  readonly #credentials: CredentialStore;
  readonly #userAgent: string;
  readonly #access: Access;
  /** Origins that did not answer however often they were asked. They are asked again, but once each time. */
  readonly #unreachable = new Set<string>();

  constructor(options: RegistryClientOptions, access: Access = 'pull') {
    this.#options = options;
    this.#access = access;
    this.limits = { ...REGISTRY_LIMITS, ...options.limits };
    this.now = options.now ?? Date.now;
    this.#credentials = options.credentials ?? new CredentialStore();
    this.#userAgent = options.userAgent ?? 'linuxkit-operator';
    this.#connections = new Connections(
      options.certificateAuthorities ?? new Map(),
      options.connections ?? 8,
      this.limits,
      options.proxy,
    );
    this.#tokens = new Tokens({
      credentials: this.#credentials,
      connections: this.#connections,
      endpoints: options,
      limits: this.limits,
      userAgent: this.#userAgent,
      actions: access === 'push' ? 'pull,push' : 'pull',
      now: this.now,
      retrying: (send, signal) => this.#retrying(send, signal),
    });
  }

  /** Answers with status 200 or 206. Throws `ImageNotFound`, `RegistryUnauthorized`, `RegistryUnreachable`, … */
  async request(request: RegistryRequest): Promise<WireResponse> {
    return this.exchange(request, BRINGS_IT, () => this.send(request));
  }

  /** Asks once, whatever the answer. Throws {@link ConnectionError} where there is none. */
  send(request: RegistryRequest): Promise<WireResponse> {
    return this.#authenticated(request, whereOf(request));
  }

  /**
   * Does what takes one request, or several that belong together, until its last answer has one of these
   * statuses: from the beginning each time, as often as there is a point in it. Throws as {@link request} does.
   */
  async exchange(
    subject: Pick<RegistryRequest, 'endpoint' | 'signal' | 'what'>,
    accepted: ReadonlySet<number>,
    send: () => Promise<WireResponse>,
  ): Promise<WireResponse> {
    const { endpoint, signal } = subject;
    const where = whereOf(subject);
    let response: WireResponse;
    try {
      response = this.#unreachable.has(endpoint.origin) ? await send() : await this.#retrying(send, signal);
      this.#unreachable.delete(endpoint.origin);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      // Behind a mirror it may never be there: patience with it would be spent on everything the mirror lacks.
      this.#unreachable.add(endpoint.origin);
      throw new OciError(
        'RegistryUnreachable',
        `${where} at ${endpoint.origin} cannot be reached: ${error.message}; check its name and the network`,
        { cause: error },
      );
    }
    if (accepted.has(response.status)) return response;
    throw await this.#refusal(response, endpoint, where);
  }

  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (this.#options.sleep !== undefined) return this.#options.sleep(milliseconds, signal);
    try {
      await wait(milliseconds, undefined, { signal });
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  }

  /** The pause before another try, undefined when there is none. */
  pause(attempt: number, retryAfter?: number): number | undefined {
    const { retry = RETRY_POLICY, random = Math.random } = this.#options;
    return retryDelay(attempt, retryAfter, retry, random);
  }

  /** Sends until the answer is not one after which to try again, or patience is over. */
  async #retrying(send: () => Promise<WireResponse>, signal: AbortSignal): Promise<WireResponse> {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      let pause: number | undefined;
      try {
        const response = await send();
        if (!isRetryable(response.status)) return response;
        pause = this.pause(attempt, parseRetryAfter(response.headers['retry-after'], this.now()));
        if (pause === undefined) return response;
        await discard(response);
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error;
        pause = this.pause(attempt);
        if (pause === undefined) throw error;
      }
      await this.sleep(pause, signal);
    }
  }

  async #authenticated(request: RegistryRequest, where: string): Promise<WireResponse> {
    const { endpoint, signal } = request;
    const sent = this.#tokens.known(endpoint);
    const response = await this.#redirected(request, sent, where);
    const challenge = response.headers['www-authenticate'];
    if (response.status !== 401 || challenge === undefined) return response;
    const answer = await this.#tokens.answer(endpoint, parseChallenges(challenge), sent, signal);
    // Once only: a registry that does not accept its own token would go on for ever.
    if (answer === undefined) return response;
    await discard(response);
    return this.#redirected(request, answer, where);
  }

  /** Follows redirects. Authorization goes to the registry's own origin alone, and only its challenge is answered. */
  async #redirected(
    request: RegistryRequest,
    authorization: string | undefined,
    where: string,
  ): Promise<WireResponse> {
    const { endpoint, method, path, body, signal } = request;
    const headers = {
      ...request.headers,
      'user-agent': this.#userAgent,
      'accept-encoding': 'identity',
      ...(body === undefined ? {} : { 'content-length': String(body.size) }),
    };
    const origin = new URL(endpoint.origin).origin;
    let url =
      typeof path === 'string' ? new URL(`${endpoint.origin}/v2/${endpoint.repository}/${path}`) : path;
    for (let redirects = 0; ; redirects++) {
      const own = url.origin === origin;
      const authorized = own && authorization !== undefined ? { ...headers, authorization } : headers;
      const registry = own ? endpoint.name : url.host;
      const stream = await body?.open(signal);
      const response = await this.#connections.send({
        method,
        url,
        headers: authorized,
        signal,
        registry,
        ...(stream === undefined ? {} : { body: stream }),
      });
      if (!isRedirect(response.status)) {
        if (own) return response;
        const { 'www-authenticate': _, ...foreign } = response.headers;
        return { ...response, headers: foreign };
      }
      await discard(response);
      if (CHANGES.has(method) && !KEEPS_METHOD.has(response.status)) {
        throw new OciError(
          'RegistryRefused',
          `${where} redirects a ${method} (${response.status}) in a way that would make it a GET`,
        );
      }
      if (redirects >= this.limits.maxRedirects) {
        throw new OciError(
          'TooManyRedirects',
          `${where} redirects more than maxRedirects allows (${this.limits.maxRedirects})`,
        );
      }
      url = redirectTarget(url, response.headers['location'], this.#options, where);
    }
  }

  async #refusal(response: WireResponse, endpoint: Endpoint, where: string): Promise<OciError> {
    const { status } = response;
    const said = await saying(response);
    switch (status) {
      case 401:
      case 403: {
        const { name, repository } = endpoint;
        const has = this.#credentials.find(name, repository) !== undefined;
        const helper =
          !has && this.#credentials.hasHelper(name)
            ? ' (a credential helper is configured, but helpers are not run)'
            : '';
        const push = this.#access === 'push';
        const advice = has
          ? `the credentials for it are wrong or not allowed to ${push ? 'push there' : 'pull this'}`
          : `there are no credentials for it${helper}${push ? '' : '; the image may also not exist'}`;
        return new OciError('RegistryUnauthorized', `${where} refuses access (${status}${said}): ${advice}`);
      }
      case 404:
        if (this.#access === 'push') {
          return new OciError(
            'RegistryRefused',
            `${where} knows no such repository (404${said}); some registries want it made before anything is pushed`,
          );
        }
        return new OciError(
          'ImageNotFound',
          `${where} does not have it (404${said}); check repository, tag and digest`,
        );
      case 429:
        return new OciError(
          'RegistryUnreachable',
          `${where} limits the rate of requests (429${said}); try again later, or use a mirror`,
        );
      default:
        if (status >= 500) {
          return new OciError(
            'RegistryUnreachable',
            `${where} is not able to answer (${status}${said}); try again later`,
          );
        }
        return new OciError('RegistryRefused', `${where} answered ${status}${said}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
  }
}

function whereOf({ what, endpoint }: Pick<RegistryRequest, 'what' | 'endpoint'>): string {
  return `${what}: registry ${endpoint.name}`;
}

/** Gets an answer out of the way so that its connection can be used again. */
export async function discard(response: WireResponse): Promise<void> {
  try {
    await response.body.dump({ limit: DUMP.limit, signal: AbortSignal.timeout(DUMP.timeout) });
  } catch {
    response.body.destroy();
  }
}

/** What the registry says of an error (distribution-spec, "Error Codes"), fit for a message. */
async function saying(response: WireResponse): Promise<string> {
  response.body.on('error', () => undefined);
  try {
    const deadline = setTimeout(() => response.body.destroy(), DUMP.timeout);
    const text = await readBody(response.body, ERROR_BODY, 'error').finally(() => clearTimeout(deadline));
    const document = JSON.parse(text.toString('utf8')) as {
      errors?: readonly { code?: unknown; message?: unknown }[];
    };
    const [first] = document.errors ?? [];
    const words = [first?.code, first?.message].filter((word) => typeof word === 'string' && word !== '');
    const line = words
      .join(', ')
      .replace(/[^\x20-\x7e]+/g, ' ')
      .slice(0, 200);
    return line === '' ? '' : `: ${line}`;
  } catch {
    return '';
  }
}
