import { type Digest, isDigest } from '../oci/types.ts';

const CACHE_FOLDER = '_cache';
/** SHA-256, shortened or not, as hex digits. */
const HEX = /^[0-9a-f]{16,64}$/;
/** A Kubernetes object name: an RFC 1123 subdomain. */
const IMAGE_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/**
 * Where things lie in the bucket:
 *
 *     <namespace>/<image>/sha256-<hex>/{kernel,initrd.img,cmdline,build.json}
 *     <namespace>/_cache/members/<key>        one compressed cpio member
 *     <namespace>/_cache/results/<inputs>     what a build of these inputs gave
 *     <namespace>/_cache/images/<image>/…     both, where each image has a cache of its own
 *     _shared/_cache/members/<key>            members, where the whole cluster shares them
 *
 * Everything of a tenant lies below its namespace. `_cache` cannot be an image: Kubernetes
 * names have no underscore. `build.json` is written last and marks the artifact complete.
 */
export const ARTIFACT_FILES = [
  'kernel',
  'initrd.img',
  'cmdline',
  'sbom.spdx.json',
  'provenance.json',
  'build.json',
] as const;
export type ArtifactFile = (typeof ARTIFACT_FILES)[number];

export function artifactFolder(digest: Digest): string {
  return digest.replace(':', '-');
}

/** Key relative to the namespace's prefix. */
export function artifactKey(image: string, digest: Digest, file: ArtifactFile): string {
  return `${image}/${artifactFolder(digest)}/${file}`;
}

export function memberKey(hex: string): string {
  return `_cache/members/${hex}`;
}

export function resultKey(hex: string): string {
  return `_cache/results/${hex}`;
}

/** Whose builds use each other's cache entries. */
export const CACHE_SHARING = ['Image', 'Namespace', 'Cluster'] as const;
export type CacheSharing = (typeof CACHE_SHARING)[number];

/** In a namespace's stead, for what the whole cluster shares: no namespace is called so. */
export const SHARED_NAMESPACE = '_shared';

/**
 * The whole key of an entry of the cache, made by {@link memberKey} or {@link resultKey}, as a build of that image
 * uses it. What a build of some inputs gave is never shared by the cluster: a result leads to an artifact of the
 * image itself, and nobody outside its namespace shall say to which.
 */
export function cacheKey(
  sharing: CacheSharing,
  { namespace, image }: { readonly namespace: string; readonly image: string },
  key: string,
): string {
  if (sharing === 'Image')
    return inNamespace(namespace, key.replace(`${CACHE_FOLDER}/`, `${CACHE_FOLDER}/images/${image}/`));
  const shared = sharing === 'Cluster' && placeOf(key)?.kind === 'member';
  return inNamespace(shared ? SHARED_NAMESPACE : namespace, key);
}

export function inNamespace(namespace: string, key: string): string {
  return `${namespace}/${key}`;
}

/** What a key relative to the namespace's prefix names. */
export type Place =
  | {
      readonly kind: 'artifact';
      readonly image: string;
      readonly digest: Digest;
      readonly file: ArtifactFile;
    }
  | { readonly kind: 'member' | 'result' };

/** Undefined for a key that none of the functions above makes. */
export function placeOf(key: string): Place | undefined {
  const [first, second, third, ...rest] = key.split('/');
  if (first === undefined || second === undefined || third === undefined || rest.length > 0) return undefined;
  if (first === CACHE_FOLDER) {
    if (!HEX.test(third)) return undefined;
    if (second === 'members') return { kind: 'member' };
    return second === 'results' ? { kind: 'result' } : undefined;
  }
  const digest = digestOfFolder(second);
  const file = ARTIFACT_FILES.find((name) => name === third);
  if (!IMAGE_NAME.test(first) || digest === undefined || file === undefined) return undefined;
  return { kind: 'artifact', image: first, digest, file };
}

export function digestOfFolder(folder: string): Digest | undefined {
  const digest = folder.replace('-', ':');
  return digest !== folder && isDigest(digest) ? digest : undefined;
}
