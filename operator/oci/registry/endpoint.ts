import { isIPv4 } from 'node:net';
import { OciError } from '../errors.ts';
import { DOCKER_HUB } from '../reference.ts';
import type { ImageReference } from '../types.ts';

/** One place where a repository can be read: the registry itself, or a mirror of it. */
export interface Endpoint {
  /** By which credentials and certificate authorities are kept: `host[:port]`, `docker.io` for Docker Hub. */
  readonly name: string;
  /** `https://host[:port]` or `http://host[:port]`. */
  readonly origin: string;
  /** The repository's name there; a mirror may keep it below a path of its own. */
  readonly repository: string;
  /** Spoken to without TLS. */
  readonly plain: boolean;
}

export interface EndpointOptions {
  /** Registries spoken to over plain HTTP besides those on loopback, `host[:port]`. */
  readonly insecureRegistries?: readonly string[];
  /** For a registry, what is asked before it, in order: `host[:port][/path]`. */
  readonly mirrors?: ReadonlyMap<string, readonly string[]>;
  /**
   * PEM certificates of the authorities that a registry's certificate may come from, besides the system's; under `*`
   * for all registries that have none of their own, and for whatever these redirect to.
   */
  readonly certificateAuthorities?: ReadonlyMap<string, string>;
}

/** Docker Hub's registry does not live where its name says. */
const DOCKER_HUB_ENDPOINT = 'registry-1.docker.io';

/** Mirrors first, in their order, the registry itself last. */
export function endpointsOf(
  { registry, repository }: Pick<ImageReference, 'registry' | 'repository'>,
  options: EndpointOptions,
): readonly Endpoint[] {
  const mirrors = options.mirrors?.get(registry) ?? [];
  return [
    ...mirrors.map((mirror) => mirrorEndpoint(mirror, repository, options)),
    registryEndpoint({ registry, repository }, options),
  ];
}

/** The registry itself: where a repository can be written. */
export function registryEndpoint(
  { registry, repository }: Pick<ImageReference, 'registry' | 'repository'>,
  options: EndpointOptions,
): Endpoint {
  return endpoint(registry, repository, options);
}

/** Whether the host may be spoken to over plain HTTP: it is this machine, or was allowed by name. */
export function mayBePlain(host: string, options: EndpointOptions): boolean {
  return isLoopback(host) || (options.insecureRegistries?.includes(host) ?? false);
}

/** `localhost`, `127.0.0.0/8` or `::1`, with or without a port (RFC 6761, section 6.3; RFC 1122, section 3.2.1.3). */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:[0-9]+$/, '').toLowerCase();
  return name === 'localhost' || name === '[::1]' || (isIPv4(name) && name.startsWith('127.'));
}

function endpoint(name: string, repository: string, options: EndpointOptions): Endpoint {
  const host = name === DOCKER_HUB ? DOCKER_HUB_ENDPOINT : name;
  // Who names an authority for a registry wants TLS, on loopback too.
  const plain = mayBePlain(name, options) && !(options.certificateAuthorities?.has(name) ?? false);
  return { name, origin: `${plain ? 'http' : 'https'}://${host}`, repository, plain };
}

function mirrorEndpoint(mirror: string, repository: string, options: EndpointOptions): Endpoint {
  const match = /^(?:https?:\/\/)?([^/]+)(?:\/(.*?))?\/*$/.exec(mirror);
  const [, host, path = ''] = match ?? [];
  if (host === undefined || /[@?#\s]/.test(mirror)) {
    throw new OciError(
      'InvalidReference',
      `${JSON.stringify(mirror)} is not a mirror; write it as host[:port][/path]`,
    );
  }
  return endpoint(host, path === '' ? repository : `${path}/${repository}`, options);
}
