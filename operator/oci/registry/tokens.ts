import { OciError } from '../errors.ts';
import { readBody } from './body.ts';
import type { Challenge } from './challenge.ts';
import { ConnectionError, type Connections, connectionError, type WireResponse } from './connection.ts';
import type { CredentialStore } from './credentials.ts';
import { withDeadline } from './deadline.ts';
import type { Credential } from './docker-config.ts';
import { type Endpoint, type EndpointOptions, mayBePlain } from './endpoint.ts';
import type { RegistryLimits } from './limits.ts';
import { redact } from './redirect.ts';
import { isRetryable } from './retry.ts';

/** Sends a request as often as the retry policy says. */
export type Sender = (send: () => Promise<WireResponse>, signal: AbortSignal) => Promise<WireResponse>;

export interface TokenOptions {
  readonly credentials: CredentialStore;
  readonly connections: Connections;
  readonly endpoints: EndpointOptions;
  readonly limits: RegistryLimits;
  readonly userAgent: string;
  /** What a token is to allow. */
  readonly actions: 'pull' | 'pull,push';
  readonly now: () => number;
  readonly retrying: Sender;
}

interface CachedAuthorization {
  readonly header: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

/** How long a token holds whose server does not say (distribution-spec, "Token Response Fields"), in seconds. */
const DEFAULT_EXPIRY = 60;
/** A token is not used when it is about to expire on the way, in milliseconds. */
const EXPIRY_MARGIN = 5000;
/** Later than any build. */
const NEVER = Number.MAX_SAFE_INTEGER;
const CLIENT_ID = 'linuxkit-operator';

/**
 * Authorization by endpoint and repository: basic, or bearer tokens fetched from the server that the
 * registry names. Several requests that need the same token wait for one fetch.
 */
export class Tokens {
  readonly #options: TokenOptions;
  readonly #cached = new Map<string, CachedAuthorization>();
  readonly #fetching = new Map<string, Promise<CachedAuthorization | undefined>>();

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /** The header to send unasked, if one is known from before. */
  known(endpoint: Endpoint): string | undefined {
    const cached = this.#cached.get(keyOf(endpoint));
    return cached !== undefined && cached.expires > this.#options.now() ? cached.header : undefined;
  }

  /**
   * The header that answers the registry's challenges, undefined if there is none. `refused` is the
   * header that was sent and not accepted. Throws `RegistryUnauthorized` when the token server refuses.
   */
  async answer(
    endpoint: Endpoint,
    challenges: readonly Challenge[],
    refused: string | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const known = this.known(endpoint);
    // Another request was answered meanwhile.
    if (known !== undefined && known !== refused) return known;
    const key = keyOf(endpoint);
    let fetching = this.#fetching.get(key);
    if (fetching === undefined) {
      fetching = this.#authorize(endpoint, challenges, signal);
      this.#fetching.set(key, fetching);
      const forget = (): boolean => this.#fetching.delete(key);
      fetching.then(forget, forget);
    }
    let authorization: CachedAuthorization | undefined;
    try {
      authorization = await fetching;
    } catch (error) {
      // It was somebody else's fetch that was called off: make one of our own.
      if (signal.aborted || error instanceof OciError) throw error;
      authorization = await this.#authorize(endpoint, challenges, signal);
    }
    if (authorization === undefined || authorization.header === refused) return undefined;
    this.#cached.set(key, authorization);
    return authorization.header;
  }

  async #authorize(
    endpoint: Endpoint,
    challenges: readonly Challenge[],
    signal: AbortSignal,
  ): Promise<CachedAuthorization | undefined> {
    const credential = this.#options.credentials.find(endpoint.name, endpoint.repository);
    if (credential?.kind === 'registry-token')
      return { header: `Bearer ${credential.token}`, expires: NEVER };
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) return this.#fetch(endpoint, bearer.parameters, credential, signal);
    if (challenges.some(({ scheme }) => scheme === 'basic') && credential?.kind === 'password') {
      return { header: basic(credential), expires: NEVER };
    }
    return undefined;
  }

  async #fetch(
    endpoint: Endpoint,
    challenge: ReadonlyMap<string, string>,
    credential: Credential | undefined,
    caller: AbortSignal,
  ): Promise<CachedAuthorization> {
    const { connections, endpoints, limits, userAgent, actions, now } = this.#options;
    const realm = realmOf(endpoint, challenge.get('realm'), endpoints);
    const where = `registry ${endpoint.name}: its token server ${redact(realm)}`;
    const service = challenge.get('service');
    // Asked for by us and not by the registry: it shall not have a token for more than this.
    const scope = `repository:${endpoint.repository}:${actions}`;
    const headers = { 'user-agent': userAgent, accept: 'application/json' };
    const parameters = { ...(service !== undefined && { service }), scope };

    const ask = (signal: AbortSignal): Promise<WireResponse> => {
      const common = { signal, registry: endpoint.name };
      if (credential?.kind === 'identity-token') {
        const form = { grant_type: 'refresh_token', client_id: CLIENT_ID, refresh_token: credential.token };
        const body = new URLSearchParams({ ...form, ...parameters }).toString();
        const type = { 'content-type': 'application/x-www-form-urlencoded' };
        return connections.send({
          method: 'POST',
          url: realm,
          headers: { ...headers, ...type },
          body,
          ...common,
        });
      }
      const url = new URL(realm);
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      const authorization = credential?.kind === 'password' ? { authorization: basic(credential) } : {};
      return connections.send({ method: 'GET', url, headers: { ...headers, ...authorization }, ...common });
    };
    const text = await withDeadline(caller, limits.documentTimeout, where, async (signal) => {
      try {
        const response = await this.#options.retrying(() => ask(signal), signal);
        const limit = { name: 'maxTokenBytes', bytes: limits.maxTokenBytes };
        const body = await readBody(response.body, limit, where);
        checkStatus(response.status, endpoint, credential, where);
        return body.toString('utf8');
      } catch (error) {
        const broken = connectionError(error, signal);
        if (!(broken instanceof ConnectionError)) throw broken;
        throw new OciError('RegistryUnreachable', `${where} cannot be reached: ${broken.message}`, {
          cause: error,
        });
      }
    });
    const { token, expiresIn } = parseToken(text, where);
    return { header: `Bearer ${token}`, expires: now() + expiresIn * 1000 - EXPIRY_MARGIN };
  }
}

function checkStatus(
  status: number,
  { name }: Endpoint,
  credential: Credential | undefined,
  where: string,
): void {
  if (status === 200) return;
  if (status === 401 || status === 403) {
    const what =
      credential === undefined ? 'gives nothing to anonymous clients' : 'does not accept the credentials';
    throw new OciError(
      'RegistryUnauthorized',
      `${where} ${what}; check the Secret with the credentials for ${name}`,
    );
  }
  const code = isRetryable(status) ? 'RegistryUnreachable' : 'RegistryRefused';
  throw new OciError(code, `${where} answered ${status}`);
}

function keyOf({ origin, repository }: Endpoint): string {
  return `${origin} ${repository}`;
}

function basic({ username, password }: Extract<Credential, { readonly kind: 'password' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/**
 * The token server's address. It may be another host, as it is for Docker Hub, but then only over
 * TLS: credentials go there. Plain HTTP is for registries that are themselves spoken to so.
 */
function realmOf(endpoint: Endpoint, realm: string | undefined, options: EndpointOptions): URL {
  const url = realm === undefined ? null : URL.parse(realm);
  if (url === null) {
    throw new OciError(
      'RegistryRefused',
      `registry ${endpoint.name}: it asks for a token but names no token server`,
    );
  }
  const plain = url.protocol === 'http:' && endpoint.plain && mayBePlain(url.host, options);
  if ((url.protocol === 'https:' || plain) && url.username === '' && url.password === '') return url;
  throw new OciError(
    'RegistryRefused',
    `registry ${endpoint.name}: credentials are not sent to its token server ${redact(url)}, which is not reached by TLS`,
  );
}

function parseToken(text: string, where: string): { readonly token: string; readonly expiresIn: number } {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    document = undefined;
  }
  const fields = (typeof document === 'object' && document !== null ? document : {}) as Readonly<
    Record<string, unknown>
  >;
  const token = fields['token'] ?? fields['access_token'];
  // What is not visible ASCII could not be sent as a header.
  if (typeof token !== 'string' || !/^[\x21-\x7e]{1,65536}$/.test(token)) {
    throw new OciError('RegistryRefused', `${where} answered without a usable token`);
  }
  const expiresIn = fields['expires_in'];
  const seconds =
    typeof expiresIn === 'number' && Number.isFinite(expiresIn) && expiresIn > 0 ? expiresIn : DEFAULT_EXPIRY;
  return { token, expiresIn: seconds };
}
