import type { Digest } from '../oci/types.ts';

/**
 * Where things lie in the bucket:
 *
 *     <namespace>/<image>/sha256-<hex>/{kernel,initrd.img,cmdline,build.json}
 *     <namespace>/_cache/members/<key>        one compressed cpio member
 *     <namespace>/_cache/results/<inputs>     what a build of these inputs gave
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

export function inNamespace(namespace: string, key: string): string {
  return `${namespace}/${key}`;
}
