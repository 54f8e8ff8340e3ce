import { type Digest, isDigest } from '../api/digest.ts';

/**
 * KubeVirt admits any text as an image; kubelet then says InvalidImageName of the pod alone, and
 * the machine is Starting for ever. So references are checked before they go into a VM.
 */

const HOST = /^(?:[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;
/** OCI distribution-spec, "Pulling manifests": the grammar of names. */
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const LONGEST_REPOSITORY = 255;

/** What is wrong with `HOST/REPOSITORY@DIGEST`, if anything. */
export function bootReferenceProblem(reference: string): string | undefined {
  const at = reference.lastIndexOf('@');
  if (at < 0 || !isDigest(reference.slice(at + 1)))
    return `${reference}: does not end with @sha256: and 64 hex digits`;
  const name = reference.slice(0, at);
  const slash = name.indexOf('/');
  if (slash < 0) return `${reference}: names no registry host`;
  const [host, repository] = [name.slice(0, slash), name.slice(slash + 1)];
  if (!HOST.test(host)) return `${reference}: ${host} is not a host with an optional port`;
  if (!REPOSITORY.test(repository))
    return `${reference}: ${repository} is not a repository name (lower-case only)`;
  if (repository.length > LONGEST_REPOSITORY)
    return `${reference}: the repository name is longer than ${LONGEST_REPOSITORY}`;
  return undefined;
}

/**
 * The digest that a reference names. All that may be compared: kubelet reports an image under
 * any repository that it knows for the same content.
 */
export function digestOf(reference: string | undefined): Digest | undefined {
  const digest = reference?.slice(reference.lastIndexOf('@') + 1);
  return digest !== undefined && isDigest(digest) ? digest : undefined;
}
