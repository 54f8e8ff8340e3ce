/**
 * The full name of an image as LinuxKit writes it into metadata and compares it by: Docker
 * Hub's prefix is added, but no tag. Looser than the parsing of references for a registry.
 */
export function expandReference(name: string): string {
  const parts = name.split('/');
  const [host = ''] = parts;
  if (parts.length === 1) return `docker.io/library/${name}`;
  if (parts.length === 2 && !/[.:]/.test(host) && host !== 'localhost') return `docker.io/${name}`;
  return name;
}
