import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import type { z } from 'zod';
import { messageOf } from '../../errors.ts';
import { StorageError, type StorageErrorCode } from '../store.ts';
import { type EndpointErrorCode, errorAnswer, MAX_ANSWER_BYTES } from './protocol.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 40_000;
/** How long the operator may be away, being upgraded for instance, before a build gives up. */
const PATIENCE_MS = 180_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

export interface EndpointOptions {
  /** `https://host:port`. */
  readonly url: string;
  /** The certificate authorities that the endpoint's certificate is checked against, PEM; no others. */
  readonly caBundle: string;
  /** The projected token; read again for each request, since the kubelet renews it. */
  readonly tokenFile: string;
  /** Milliseconds until an endpoint that does not answer is given up. Default three minutes. */
  readonly patienceMs?: number;
}

/** Asks the artifact endpoint, again and again while it is away or asks to wait. */
export class EndpointClient {
  readonly #options: EndpointOptions;
  readonly #agent: Agent;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#agent = new Agent({
      allowH2: false,
      connections: 4,
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
      connect: { ca: options.caBundle, timeout: CONNECT_TIMEOUT_MS },
    });
  }

  /** Throws {@link StorageError}: what the endpoint refused, or `StorageUnavailable`. */
  async post<T>(path: string, body: unknown, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    const until = Date.now() + (this.#options.patienceMs ?? PATIENCE_MS);
    for (let attempt = 0; ; attempt += 1) {
      const outcome = await this.#attempt(path, body, schema, signal);
      if ('answer' in outcome) return outcome.answer;
      const pause = Math.max(outcome.retryAfterMs, Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS));
      if (!outcome.retry || Date.now() + pause > until) throw outcome.error;
      await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #attempt<T>(
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<Outcome<T>> {
    const { url, tokenFile } = this.#options;
    try {
      const token = (await readFile(tokenFile, 'utf8')).trim();
      const { origin, pathname } = new URL(path, url);
      const answer = await this.#agent.request({
        origin,
        path: pathname,
        method: 'POST',
        signal,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      });
      const json = await limitedJson(answer.body);
      if (answer.statusCode === 200) return { answer: schema.parse(json) };
      return refusalOf(answer.statusCode, json, Number(answer.headers['retry-after'] ?? 0) * 1000);
    } catch (error) {
      signal.throwIfAborted();
      const message = `artifact endpoint ${url}: ${describe(error)}`;
      return {
        error: new StorageError('StorageUnavailable', message, { cause: error }),
        retry: true,
        retryAfterMs: 0,
      };
    }
  }
}

type Outcome<T> =
  | { readonly answer: T }
  | { readonly error: StorageError; readonly retry: boolean; readonly retryAfterMs: number };

const CODES: Readonly<Record<EndpointErrorCode, StorageErrorCode>> = {
  Invalid: 'StorageDenied',
  Unauthenticated: 'StorageDenied',
  Forbidden: 'StorageDenied',
  NotFound: 'StorageDenied',
  Conflict: 'ObjectConflict',
  Incomplete: 'ObjectConflict',
  TooLarge: 'StorageDenied',
  Throttled: 'StorageUnavailable',
  InternalError: 'StorageUnavailable',
  Unavailable: 'StorageUnavailable',
};

function refusalOf(status: number, json: unknown, retryAfterMs: number): Outcome<never> {
  const parsed = errorAnswer.safeParse(json);
  if (!parsed.success) {
    const error = new StorageError(
      'StorageUnavailable',
      `artifact endpoint: status ${status} without a reason`,
    );
    return { error, retry: status >= 500, retryAfterMs };
  }
  const { code, message } = parsed.data.error;
  const mapped = CODES[code];
  const error = new StorageError(mapped, `artifact endpoint: ${message} (${code})`);
  return {
    error,
    retry: mapped === 'StorageUnavailable',
    retryAfterMs: Number.isFinite(retryAfterMs) ? retryAfterMs : 0,
  };
}

async function limitedJson(body: AsyncIterable<Buffer>): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new RangeError(`its answer has more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

/** undici wraps what a connection failed of in an error that only says that it failed. */
function describe(error: unknown): string {
  const cause = error instanceof AggregateError ? error.errors[0] : error;
  return messageOf(cause instanceof Error && cause.message === '' ? cause.cause : cause);
}
