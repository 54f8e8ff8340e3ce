import { OciError } from '../errors.ts';
import { DOCKER_HUB } from '../reference.ts';

/** What is shown to a registry, or to the token server that it names. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** Traded for access tokens by the OAuth2 refresh flow (distribution-spec, "Docker Registry v2 OAuth2"). */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** Sent as it is. */
  | { readonly kind: 'registry-token'; readonly token: string };

/** A credential and the registry, or the part of one, that it is for: `quay.io`, `quay.io/team`, `*.example.com`. */
export interface ScopedCredential {
  readonly host: string;
  /** Path below which it holds, without slashes around it; empty for the whole registry. */
  readonly path: string;
  readonly credential: Credential;
}

export interface DockerConfig {
  readonly credentials: readonly ScopedCredential[];
  /** Hosts whose credentials a helper program keeps, or `*` for a helper for all. Helpers are not run. */
  readonly helpers: readonly string[];
}

const DOCKER_HUB_HOSTS: ReadonlySet<string> = new Set([
  DOCKER_HUB,
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
]);

/**
 * Reads `config.json` of Docker, which is also what a `kubernetes.io/dockerconfigjson` Secret holds,
 * or the older `.dockercfg`, which is its `auths` alone. `source` names the file in messages.
 * Throws {@link OciError} `InvalidCredentials`; what the file holds is never in a message.
 */
export function parseDockerConfig(text: string, source: string): DockerConfig {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    throw invalid(source, 'is not JSON');
  }
  if (!isObject(root)) throw invalid(source, 'is not a JSON object');
  const modern = 'auths' in root || 'credHelpers' in root || 'credsStore' in root;
  const auths = modern ? (root['auths'] ?? {}) : root;
  if (!isObject(auths)) throw invalid(source, 'has "auths" that is not an object');
  const credentials: ScopedCredential[] = [];
  for (const [key, value] of Object.entries(auths)) {
    if (!isObject(value))
      throw invalid(source, `has an entry for ${JSON.stringify(key)} that is not an object`);
    const credential = readCredential(value, key, source);
    if (credential !== undefined) credentials.push({ ...readKey(key), credential });
  }
  const helpers = isObject(root['credHelpers'])
    ? Object.keys(root['credHelpers']).map((key) => readKey(key).host)
    : [];
  const forAll = typeof root['credsStore'] === 'string' && root['credsStore'] !== '';
  return { credentials, helpers: forAll ? [...helpers, '*'] : helpers };
}

/** The name by which a registry's credentials are kept: Docker Hub has several. */
export function credentialHost(registry: string): string {
  const host = registry.toLowerCase();
  return DOCKER_HUB_HOSTS.has(host) ? DOCKER_HUB : host;
}

function readKey(key: string): { readonly host: string; readonly path: string } {
  const bare = key.replace(/^https?:\/\//i, '');
  const slash = bare.indexOf('/');
  const host = credentialHost(slash < 0 ? bare : bare.slice(0, slash));
  const path = slash < 0 ? '' : bare.slice(slash + 1).replace(/\/+$/, '');
  // `https://index.docker.io/v1/` and `…/v2/` are how docker login writes a whole registry.
  return { host, path: path === 'v1' || path === 'v2' ? '' : path };
}

function readCredential(
  entry: Readonly<Record<string, unknown>>,
  key: string,
  source: string,
): Credential | undefined {
  const text = (field: string): string => {
    const value = entry[field];
    if (value === undefined || value === null) return '';
    if (typeof value !== 'string')
      throw invalid(source, `has a "${field}" for ${JSON.stringify(key)} that is not text`);
    return value;
  };
  if (text('registrytoken') !== '') return { kind: 'registry-token', token: text('registrytoken') };
  if (text('identitytoken') !== '') return { kind: 'identity-token', token: text('identitytoken') };
  let username = text('username');
  let password = text('password');
  if (text('auth') !== '') {
    const decoded = Buffer.from(text('auth'), 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    if (colon < 0)
      throw invalid(source, `has an "auth" for ${JSON.stringify(key)} that is not USER:PASSWORD in base64`);
    username = decoded.slice(0, colon);
    password = decoded.slice(colon + 1).replace(/\0+$/, '');
  }
  // docker login leaves an empty entry where a helper keeps the secret.
  if (username === '' && password === '') return undefined;
  return { kind: 'password', username, password };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(source: string, why: string): OciError {
  return new OciError('InvalidCredentials', `${source} ${why}; it should be a Docker config.json`);
}
