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
  readonly method: 'GET' | 'HEAD';
  /** Below the repository: `manifests/…` or `blobs/…`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** What is wanted, for messages. */
  readonly what: string;
}

const ERROR_BODY = { name: 'error body', bytes: 8192 };
/** What is left of an answer that is of no interest is read, to keep the connection, up to this many bytes for so long. */
const DUMP = { limit: 16_384, timeout: 2000 };

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
  /** Origins that did not answer however often they were asked. They are asked again, but once each time. */
  readonly #unreachable = new Set<string>();

  constructor(options: RegistryClientOptions) {
    this.#options = options;
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
      now: this.now,
      retrying: (send, signal) => this.#retrying(send, signal),
    });
  }

  /** Answers with status 200 or 206. Throws `ImageNotFound`, `RegistryUnauthorized`, `RegistryUnreachable`, … */
  async request(request: RegistryRequest): Promise<WireResponse> {
    const { endpoint, signal, what } = request;
    const where = `${what}: registry ${endpoint.name}`;
    let response: WireResponse;
    const send = (): Promise<WireResponse> => this.#authenticated(request, where);
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
    if (response.status === 200 || response.status === 206) return response;
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
    const { endpoint, method, path, signal } = request;
    const headers = { ...request.headers, 'user-agent': this.#userAgent, 'accept-encoding': 'identity' };
    const origin = new URL(endpoint.origin).origin;
    let url = new URL(`${endpoint.origin}/v2/${endpoint.repository}/${path}`);
    for (let redirects = 0; ; redirects++) {
      const own = url.origin === origin;
      const authorized = own && authorization !== undefined ? { ...headers, authorization } : headers;
      const registry = own ? endpoint.name : url.host;
      const response = await this.#connections.send({ method, url, headers: authorized, signal, registry });
      if (!isRedirect(response.status)) {
        if (own) return response;
        const { 'www-authenticate': _, ...foreign } = response.headers;
        return { ...response, headers: foreign };
      }
      await discard(response);
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
        const advice = has
          ? 'the credentials for it are wrong or not allowed to pull this'
          : `there are no credentials for it${helper}; the image may also not exist`;
        return new OciError('RegistryUnauthorized', `${where} refuses access (${status}${said}): ${advice}`);
      }
      case 404:
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

/** Gets an answer out of the way so that its connection can be used again. */
async function discard(response: WireResponse): Promise<void> {
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
