import type { Dispatcher } from 'undici';
import { messageOf } from '../errors.ts';
import type { ClusterAccess } from './access.ts';
import { ApiError, errorOfStatus } from './api-error.ts';
import type { CallOptions } from './api-options.ts';
import { type Clock, type Random, reasonOf, SYSTEM_CLOCK, sleep } from './clock.ts';
import { Deadline } from './deadline.ts';
import { type ClientMetrics, NO_METRICS } from './metrics.ts';

export interface TransportOptions {
  readonly userAgent?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly metrics?: ClientMetrics;
}

/** One exchange with the API server, as HTTP. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** Names the call in errors: verb, resource, key. */
  readonly what: string;
  /** Largest answer that is read, in bytes. */
  readonly limit?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const ANSWER_LIMIT = 64 * 1024 * 1024;
const ERROR_LIMIT = 64 * 1024;
const LONGEST_RETRY_AFTER_S = 30;

/**
 * HTTP to one API server: credentials, deadlines, limits, and errors.
 *
 * A call is sent again only when the server says that it did not take it (429, or 503 with
 * Retry-After); everything else is for the controllers' own backoff.
 */
export class Transport {
  readonly access: ClusterAccess;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #metrics: ClientMetrics;
  readonly #userAgent: string;

  constructor(access: ClusterAccess, options: TransportOptions = {}) {
    this.access = access;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#random = options.random ?? Math.random;
    this.#metrics = options.metrics ?? NO_METRICS.client;
    this.#userAgent = options.userAgent ?? 'linuxkit-operator';
  }

  /** The answer's JSON; `undefined` when it is empty. */
  async json(call: Call, options: CallOptions): Promise<unknown> {
    const text = await this.text(call, options);
    if (text === '') return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw new ApiError('InvalidAnswer', `${call.what}: the answer is not JSON`, { cause: error });
    }
  }

  /** Sends a call until it is taken, within the deadline. */
  async text(call: Call, options: CallOptions): Promise<string> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    using deadline = new Deadline(this.#clock, options.signal, timeoutMs, () =>
      timedOut(call.what, timeoutMs),
    );
    for (;;) {
      try {
        const response = await this.#send(call, deadline.signal);
        return await bodyText(response, call.limit ?? ANSWER_LIMIT, call.what, deadline.signal);
      } catch (error) {
        const waitMs = retryAfterMs(error);
        if (waitMs === undefined) throw error;
        this.#metrics.retry({
          method: call.method,
          host: this.access.server.host,
          code: String((error as ApiError).status),
        });
        // A little later than told, or everyone who was told the same comes back at once.
        await sleep(this.#clock, waitMs * (1 + 0.2 * this.#random()), deadline.signal);
      }
    }
  }

  /** One exchange. A 401 is tried once more with new credentials: the token may just have rotated. */
  async #send(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    try {
      return await this.#exchange(call, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'Unauthorized') throw error;
      this.access.forget();
      return await this.#exchange(call, signal);
    }
  }

  async #exchange(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    if (signal.aborted) throw reasonOf(signal);
    const { dispatcher, headers } = await this.access.credentials();
    const started = this.#clock.monotonic();
    const observe = (code: string): void =>
      this.#metrics.request({
        method: call.method,
        host: this.access.server.host,
        code,
        seconds: (this.#clock.monotonic() - started) / 1000,
      });
    let response: Dispatcher.ResponseData;
    try {
      response = await dispatcher.request({
        origin: this.access.server.origin,
        path: this.access.server.pathname + call.path + queryText(call.query),
        method: call.method,
        headers: {
          ...headers,
          accept: call.accept ?? 'application/json',
          'user-agent': this.#userAgent,
          ...(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal,
      });
    } catch (error) {
      observe('<error>');
      throw signal.aborted ? reasonOf(signal) : unreachable(call.what, error);
    }
    observe(String(response.statusCode));
    if (response.statusCode < 400) return response;
    const body = await bodyText(response, ERROR_LIMIT, call.what, signal);
    throw errorOfStatus(call.what, response.statusCode, body, retryAfterHeader(response));
  }

  /**
   * An answer whose body goes on and on. The deadline is for its beginning; how long it then
   * lasts is the caller's affair, who must consume or destroy it.
   */
  async stream(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(reasonOf(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = this.#clock.timer(DEFAULT_TIMEOUT_MS, () =>
      stop.abort(timedOut(call.what, DEFAULT_TIMEOUT_MS)),
    );
    try {
      const response = await this.#send(call, stop.signal);
      response.body.once('close', () => signal.removeEventListener('abort', onAbort));
      return response;
    } catch (error) {
      signal.removeEventListener('abort', onAbort);
      throw error;
    } finally {
      timer[Symbol.dispose]();
    }
  }
}

function queryText(query: Call['query']): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(name, value);
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

async function bodyText(
  response: Dispatcher.ResponseData,
  limit: number,
  what: string,
  signal: AbortSignal,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > limit)
        throw new ApiError('InvalidAnswer', `${what}: the answer is longer than ${limit} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    throw error instanceof ApiError ? error : unreachable(what, error);
  }
  return Buffer.concat(chunks, size).toString('utf8');
}

function retryAfterHeader(response: Dispatcher.ResponseData): number | undefined {
  const value = response.headers['retry-after'];
  const seconds = typeof value === 'string' ? Number(value) : Number.NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}

/** How long the server asks to wait before the same call may be sent again, if it did. */
function retryAfterMs(error: unknown): number | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const asked = error.retryAfterSeconds;
  if (error.status === 429) return Math.min(asked ?? 1, LONGEST_RETRY_AFTER_S) * 1000;
  if (error.status === 503 && asked !== undefined) return Math.min(asked, LONGEST_RETRY_AFTER_S) * 1000;
  return undefined;
}

function timedOut(what: string, ms: number): ApiError {
  return new ApiError('Timeout', `${what}: no answer within ${ms / 1000} s`);
}

/** The connection failed, before the answer or in the middle of it. */
export function unreachable(what: string, error: unknown): ApiError {
  return new ApiError('Unreachable', `${what}: ${messageOf(error)}`, { cause: error });
}
