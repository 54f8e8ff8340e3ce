import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import { CodedError, messageOf } from '../errors.ts';
import { type Clock, SYSTEM_CLOCK } from './clock.ts';

export class ClusterAccessError extends CodedError<'NoCluster' | 'CredentialsFailed'> {}

/** How long credentials are reused before they are asked for again. Service-account tokens are renewed far ahead. */
const CREDENTIALS_FOR_MS = 10_000;

interface Credentials {
  readonly dispatcher: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The way to one API server: its address, the connections to it, and who we are there.
 *
 * client-node's KubeConfig reads kubeconfig files, service-account tokens, exec plugins and
 * OIDC; it is used for nothing else, since it opens a new TLS connection for every request.
 * The connections are one undici Agent, HTTP/1.1: a dead HTTP/2 session takes every watch with it.
 */
export class ClusterAccess implements AsyncDisposable {
  readonly server: URL;
  /** Namespace of the current context, or of the pod. */
  readonly namespace: string;
  readonly #config: KubeConfig;
  readonly #clock: Clock;
  #dispatcher: Dispatcher | undefined;
  #identity = '';
  #credentials: { readonly promise: Promise<Credentials>; readonly at: number } | undefined;
  readonly #closing = new Set<Promise<void>>();

  constructor(config: KubeConfig, clock: Clock = SYSTEM_CLOCK) {
    const cluster = config.getCurrentCluster();
    if (cluster === null || cluster === undefined) {
      throw new ClusterAccessError(
        'NoCluster',
        'the kubeconfig names no current cluster: set KUBECONFIG or choose a context',
      );
    }
    this.#config = config;
    this.#clock = clock;
    this.server = new URL(cluster.server.endsWith('/') ? cluster.server : `${cluster.server}/`);
    this.namespace = config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
  }

  /** `file`, else KUBECONFIG, else ~/.kube/config, else the pod's service account. */
  static load(options: { readonly file?: string; readonly context?: string } = {}): ClusterAccess {
    const config = new KubeConfig();
    try {
      if (options.file === undefined) config.loadFromDefault();
      else config.loadFromFile(options.file);
    } catch (error) {
      throw new ClusterAccessError('NoCluster', `cannot read the kubeconfig: ${messageOf(error)}`, {
        cause: error,
      });
    }
    if (options.context !== undefined) config.setCurrentContext(options.context);
    return new ClusterAccess(config);
  }

  /** Connections and headers for one request. */
  credentials(): Promise<Credentials> {
    const now = this.#clock.monotonic();
    const known = this.#credentials;
    if (known !== undefined && now - known.at < CREDENTIALS_FOR_MS) return known.promise;
    const promise = this.#load();
    this.#credentials = { promise, at: now };
    promise.catch(() => this.forget());
    return promise;
  }

  /** After a 401: the next request asks for credentials anew. */
  forget(): void {
    this.#credentials = undefined;
  }

  async #load(): Promise<Credentials> {
    const options: RequestOptions = {};
    try {
      await this.#config.applyToHTTPSOptions(options);
    } catch (error) {
      // The message of an exec plugin's failure may quote its output, and with it a token.
      const secretive = this.#config.getCurrentUser()?.exec !== undefined;
      const why = secretive ? 'the exec plugin failed' : messageOf(error);
      throw new ClusterAccessError(
        'CredentialsFailed',
        `cannot obtain credentials for the API server: ${why}`,
      );
    }
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value);
    if (typeof options.auth === 'string')
      headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    return { dispatcher: this.#dispatcherFor(options), headers };
  }

  /** The same connections as long as certificates stay the same; client certificates may rotate. */
  #dispatcherFor(options: RequestOptions): Dispatcher {
    const tls = {
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      ...(options.cert === undefined ? {} : { cert: options.cert }),
      ...(options.key === undefined ? {} : { key: options.key }),
      ...(options.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: options.rejectUnauthorized }),
      ...(options.servername === undefined ? {} : { servername: options.servername }),
    };
    const identity = JSON.stringify(Object.values(tls).map(String));
    if (this.#dispatcher !== undefined && identity === this.#identity) return this.#dispatcher;

    if (this.#dispatcher !== undefined) this.#retire(this.#dispatcher);
    const proxy = this.#config.getCurrentCluster()?.proxyUrl;
    const common = {
      allowH2: false,
      connections: 64,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 30_000,
    };
    // Keep-alive probes find a peer that vanished without a word (a watch would wait for it for ever):
    // first after 15 s of silence, then every second, ten times.
    const connect = { ...tls, timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 15_000 };
    this.#dispatcher =
      proxy === undefined
        ? new Agent({ ...common, connect })
        : new ProxyAgent({ ...common, uri: proxy, requestTls: connect });
    this.#identity = identity;
    return this.#dispatcher;
  }

  #retire(dispatcher: Dispatcher): void {
    const closed = dispatcher.close().then(
      () => void this.#closing.delete(closed),
      () => void this.#closing.delete(closed),
    );
    this.#closing.add(closed);
  }

  /** Ends every connection at once, those of retired credentials too. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher?.destroy();
    this.#dispatcher = undefined;
    this.#credentials = undefined;
  }
}
