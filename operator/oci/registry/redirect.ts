import { OciError } from '../errors.ts';
import { type EndpointOptions, mayBePlain } from './endpoint.ts';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/**
 * Where a redirect leads. Registries send clients to other hosts for blobs, which is fine, since
 * bytes are verified; but never from TLS to plain HTTP, and to plain HTTP only where it is allowed.
 */
export function redirectTarget(
  from: URL,
  location: string | undefined,
  options: EndpointOptions,
  where: string,
): URL {
  const target = location === undefined ? undefined : URL.parse(location, from.href);
  if (target === null || target === undefined) {
    throw new OciError('RegistryRefused', `${where}: redirected to nowhere`);
  }
  const secure = target.protocol === 'https:';
  const plain = target.protocol === 'http:' && from.protocol === 'http:' && mayBePlain(target.host, options);
  if ((!secure && !plain) || target.username !== '' || target.password !== '') {
    throw new OciError('RegistryRefused', `${where}: redirected to ${redact(target)}, which is not allowed`);
  }
  return target;
}

/** A URL as it may stand in a message: queries carry signatures and tokens, and user names carry secrets. */
export function redact(url: URL): string {
  return `${url.origin === 'null' ? url.protocol : url.origin}${url.pathname}`;
}
