import type { Digest, ImageReference } from '../../oci/types.ts';

/**
 * The package URL of an image (ECMA-427; type definition "oci"): name is the repository's last part,
 * version the digest. Qualifiers stand in the order of their names.
 */
export function ociPurl(reference: ImageReference, digest: Digest, architecture: string): string {
  const { registry, repository, tag } = reference;
  const name = repository.slice(repository.lastIndexOf('/') + 1);
  const qualifiers = [
    `arch=${encode(architecture)}`,
    `repository_url=${encode(`${registry}/${repository}`)}`,
    ...(tag === undefined ? [] : [`tag=${encode(tag)}`]),
  ];
  return `pkg:oci/${encode(name)}@${encode(digest)}?${qualifiers.join('&')}`;
}

/** Percent-encoding of everything but letters, digits and `.-_~:` (ECMA-427, "Character encoding"). */
function encode(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%3A', ':')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
