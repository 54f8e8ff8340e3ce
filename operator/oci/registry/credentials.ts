import {
  type Credential,
  credentialHost,
  type DockerConfig,
  type ScopedCredential,
} from './docker-config.ts';

/** Credentials by registry and repository. Of those that fit, the one with the longest path is taken. */
export class CredentialStore {
  readonly #credentials: readonly ScopedCredential[];
  readonly #helpers: ReadonlySet<string>;

  /** Where two configurations have a credential for the same place, the earlier one wins. */
  constructor(configs: readonly DockerConfig[] = []) {
    this.#credentials = configs.flatMap(({ credentials }) => credentials);
    this.#helpers = new Set(configs.flatMap(({ helpers }) => helpers));
  }

  find(registry: string, repository: string): Credential | undefined {
    const host = credentialHost(registry);
    let best: ScopedCredential | undefined;
    for (const candidate of this.#credentials) {
      if (!hostMatches(candidate.host, host) || !pathMatches(candidate.path, repository)) continue;
      if (best === undefined || candidate.path.length > best.path.length) best = candidate;
    }
    return best?.credential;
  }

  /** Whether a helper program, which is not run, would have been asked for this registry. */
  hasHelper(registry: string): boolean {
    return this.#helpers.has('*') || this.#helpers.has(credentialHost(registry));
  }
}

/** Kubernetes lets `*` stand for one label, or for the beginning of one ("Specifying imagePullSecrets"). */
function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.includes('*')) return pattern === host;
  const patterns = pattern.split('.');
  const labels = host.split('.');
  return (
    patterns.length === labels.length && patterns.every((part, at) => labelMatches(part, labels[at] ?? ''))
  );
}

function labelMatches(pattern: string, label: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === label;
  const before = pattern.slice(0, star);
  const after = pattern.slice(star + 1);
  return label.length >= before.length + after.length && label.startsWith(before) && label.endsWith(after);
}

function pathMatches(path: string, repository: string): boolean {
  return path === '' || repository === path || repository.startsWith(`${path}/`);
}
