import { OciError } from './errors.ts';
import { type ImageReference, isDigest } from './types.ts';

/**
 * Image references as Docker writes them, after the grammar of the distribution project
 * (`[registry/]repository[:tag][@digest]`). Names without a registry belong to Docker Hub,
 * names of one component there to its `library`. No tag is added: which tag a missing one
 * stands for is the client's business, and LinuxKit keeps names as written.
 */

export const DOCKER_HUB = 'docker.io';

/** Longest repository name with its registry, in characters (distribution-spec, "Pulling manifests"). */
export const MAX_NAME_LENGTH = 255;

const MAX_REFERENCE_LENGTH = MAX_NAME_LENGTH + 1 + 128 + 1 + 'sha256:'.length + 64;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;
const HOST_LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;
const IPV6_HOST = /^\[[0-9a-fA-F:.]{2,45}\]$/;

/** Throws {@link OciError} `InvalidReference`, naming the part that is wrong. */
export function parseReference(text: string): ImageReference {
  if (text === '') throw invalid(text, 'it is empty');
  if (text.length > MAX_REFERENCE_LENGTH)
    throw invalid(text, `it is longer than ${MAX_REFERENCE_LENGTH} characters`);

  const { before: named, after: digest } = splitAt(text, text.indexOf('@'));
  if (digest !== undefined && !isDigest(digest)) {
    throw invalid(text, 'what follows the @ is not sha256: and 64 lower-case hex digits');
  }
  // A colon before the last slash belongs to the registry's port.
  const colon = named.lastIndexOf(':');
  const { before: name, after: tag } = splitAt(named, colon > named.lastIndexOf('/') ? colon : -1);
  if (tag !== undefined && !TAG.test(tag)) {
    throw invalid(
      text,
      'the tag must be 1 to 128 of letters, digits, "_", "." and "-", not beginning with "." or "-"',
    );
  }

  const { registry, repository } = splitName(name);
  checkHost(text, registry);
  checkRepository(text, repository);
  if (registry.length + 1 + repository.length > MAX_NAME_LENGTH) {
    throw invalid(text, `registry and repository are longer than ${MAX_NAME_LENGTH} characters`);
  }
  return {
    registry,
    repository,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && isDigest(digest) && { digest }),
  };
}

/** The full form, registry included; {@link parseReference} gives the same reference back. */
export function formatReference(reference: ImageReference): string {
  const { registry, repository, tag, digest } = reference;
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function splitName(name: string): { readonly registry: string; readonly repository: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  // Upper case cannot be a repository's component, so it must be a host's.
  const hasRegistry =
    first !== '' && (/[.:[]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const registry = hasRegistry ? first : DOCKER_HUB;
  const path = hasRegistry ? name.slice(slash + 1) : name;
  if (registry !== DOCKER_HUB && registry !== 'index.docker.io') return { registry, repository: path };
  return { registry: DOCKER_HUB, repository: path.includes('/') ? path : `library/${path}` };
}

function checkHost(text: string, registry: string): void {
  const port = /:([0-9]*)$/.exec(registry);
  // The colons inside an IPv6 address are followed by its closing bracket.
  const host = port === null ? registry : registry.slice(0, port.index);
  if (port !== null && !(Number(port[1]) >= 1 && Number(port[1]) <= 65_535)) {
    throw invalid(text, `the registry's port must be between 1 and 65535`);
  }
  if (IPV6_HOST.test(host)) return;
  if (!host.split('.').every((label) => HOST_LABEL.test(label))) {
    throw invalid(text, `"${clip(registry)}" is not a registry's host name`);
  }
}

function checkRepository(text: string, repository: string): void {
  for (const component of repository.split('/')) {
    if (PATH_COMPONENT.test(component)) continue;
    if (component === '') throw invalid(text, 'the repository has an empty component');
    const lower = component !== component.toLowerCase() ? '; repositories are lower case' : '';
    throw invalid(text, `"${clip(component)}" is not a repository component${lower}`);
  }
}

function splitAt(text: string, index: number): { readonly before: string; readonly after?: string } {
  return index < 0 ? { before: text } : { before: text.slice(0, index), after: text.slice(index + 1) };
}

function invalid(text: string, why: string): OciError {
  return new OciError('InvalidReference', `"${clip(text)}" is not an image reference: ${why}`);
}

function clip(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text).slice(1, -1);
}
