import type { Readable } from 'node:stream';
import { getCACertificates } from 'node:tls';
import { Agent, type Dispatcher, Pool, ProxyAgent } from 'undici';
import { CodedError, messageOf } from '../../errors.ts';
import type { RegistryLimits } from './limits.ts';
import { type ProxySettings, proxyFor } from './proxy.ts';

/** A request as it goes over the wire once: no authentication, no redirect, no second try. */
export interface WireRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is destroyed, whatever becomes of the request; its headers must have a `content-length`. */
  readonly body?: string | Readable;
  readonly signal: AbortSignal;
  /** Whose certificate authorities count. */
  readonly registry: string;
}

export interface WireResponse {
  /** What was asked: what a `location` is relative to. */
  readonly url: URL;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Must be read to its end or destroyed. */
  readonly body: Dispatcher.ResponseData['body'];
}

/** The connection could not be made, broke, or fell silent. Worth another try. */
export class ConnectionError extends CodedError<'ConnectionFailed'> {}

/** Connections to registries: a bounded number to each host, HTTP/1.1, with the authorities that each may be known by. */
export class Connections implements AsyncDisposable {
  readonly #authorities: ReadonlyMap<string, string>;
  readonly #limits: RegistryLimits;
  readonly #connections: number;
  readonly #proxy: ProxySettings;
  readonly #agents = new Map<string, Dispatcher>();

  constructor(
    authorities: ReadonlyMap<string, string>,
    connections: number,
    limits: RegistryLimits,
    proxy: ProxySettings = { exempt: [] },
  ) {
    this.#authorities = authorities;
    this.#connections = connections;
    this.#limits = limits;
    this.#proxy = proxy;
  }

  /** Throws {@link ConnectionError}, or the signal's reason. */
  async send({ method, url, headers, body, signal, registry }: WireRequest): Promise<WireResponse> {
    const streamed = body === undefined || typeof body === 'string' ? undefined : body;
    // An error of its own ends the request, which then says so; one after that is nobody's.
    streamed?.on('error', () => undefined);
    try {
      const response = await this.#agent(registry, proxyFor(url, this.#proxy)).request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: { ...headers },
        signal,
        // With room ahead a read takes the next chunk as well, and joins the two in a third buffer.
        highWaterMark: 0,
        ...(body !== undefined && { body }),
        ...(streamed !== undefined && { headersTimeout: this.#limits.uploadTimeout }),
      });
      const single: Record<string, string> = {};
      for (const [name, value] of Object.entries(response.headers)) {
        if (value !== undefined) single[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
      }
      return { url, status: response.statusCode, headers: single, body: response.body };
    } catch (error) {
      throw connectionError(streamed?.errored ?? error, signal);
    } finally {
      streamed?.destroy();
    }
  }

  #agent(registry: string, proxy: URL | undefined): Dispatcher {
    const own = this.#authorities.has(registry) ? registry : '*';
    const key = `${own} ${proxy?.href ?? ''}`;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      agent = this.#newAgent(this.#authorities.get(own), proxy);
      this.#agents.set(key, agent);
    }
    return agent;
  }

  #newAgent(authority: string | undefined, proxy: URL | undefined): Dispatcher {
    const { connectTimeout, idleTimeout } = this.#limits;
    const tls = authority === undefined ? {} : { ca: [...getCACertificates('default'), authority] };
    const options = {
      allowH2: false,
      connections: this.#connections,
      headersTimeout: idleTimeout,
      bodyTimeout: idleTimeout,
    };
    if (proxy === undefined) return new Agent({ ...options, connect: { timeout: connectTimeout, ...tls } });
    return new ProxyAgent({
      ...options,
      uri: proxy.href,
      connectTimeout,
      requestTls: tls,
      // The proxy's own certificate may come from the authority that is meant for everything.
      proxyTls: tls,
      clientFactory: (origin, own) => new Pool(origin, { ...own, ...options }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
    this.#agents.clear();
  }
}

/** What a failed read of a body or a failed request comes down to. */
export function connectionError(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof CodedError) return error;
  const causes: string[] = [];
  for (let cause: unknown = error; cause instanceof Error && causes.length < 4; cause = cause.cause) {
    // Where several addresses were tried, the message is empty and the reasons are one level down.
    const inner = cause instanceof AggregateError ? cause.errors.map(messageOf).join('; ') : '';
    causes.push(cause.message || inner);
  }
  return new ConnectionError(
    'ConnectionFailed',
    causes.filter((text) => text !== '').join(': ') || messageOf(error),
    {
      cause: error,
    },
  );
}
