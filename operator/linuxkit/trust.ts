import { expandReference } from './references.ts';
import type { LinuxKitConfig } from './schema.ts';

/** Whether a configuration wants any images verified. */
export function asksForTrust(trust: LinuxKitConfig['trust']): boolean {
  return [...(trust?.image ?? []), ...(trust?.org ?? [])].length > 0;
}

/**
 * Whether a configuration wants an image verified before anything of it is used. The rules are
 * those that `trust` had when it meant Docker Content Trust: `image` names an image exactly, or
 * without tag and digest; `org` names whoever it belongs to, on any registry.
 */
export function mustVerify(trust: LinuxKitConfig['trust'], image: string): boolean {
  const names = new Set([expandReference(image), bareName(image)]);
  const { organisation, qualified } = owners(bareName(image));
  return (
    (trust?.image ?? []).some((trusted) => names.has(expandReference(trusted))) ||
    (trust?.org ?? []).some((org) => [organisation, ...qualified].includes(trimSlash(org)))
  );
}

/** Without tag and digest. A colon before the last slash belongs to the registry's port. */
function bareName(image: string): string {
  const [named = ''] = expandReference(image).split('@');
  const colon = named.lastIndexOf(':');
  return colon > named.lastIndexOf('/') ? named.slice(0, colon) : named;
}

/** What stands directly before the image's own name, and all paths that lead to it, registry included or not. */
function owners(name: string): { readonly organisation: string; readonly qualified: readonly string[] } {
  const folders = name.split('/').slice(0, -1);
  const [, ...path] = folders;
  const leading = (segments: readonly string[]) =>
    segments.map((_, index) => segments.slice(0, index + 1).join('/'));
  return { organisation: path.at(-1) ?? '', qualified: [...leading(folders), ...leading(path)] };
}

function trimSlash(org: string): string {
  return org.endsWith('/') ? org.slice(0, -1) : org;
}
