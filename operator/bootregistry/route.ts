import { type Digest, isDigest } from '../oci/types.ts';
import { DistributionError } from './distribution-error.ts';

/** What a request asks for. */
export type Route =
  | { readonly kind: 'base' }
  | {
      readonly kind: 'manifest' | 'blob';
      readonly namespace: string;
      readonly image: string;
      readonly digest: Digest;
    };

/** A Kubernetes namespace: an RFC 1123 label. */
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** A LinuxKitImage: an RFC 1123 subdomain. */
const IMAGE = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/**
 * Reads the path of a request: `/v2/`, `/v2/<namespace>/<image>/manifests/<digest>` or `…/blobs/<digest>`.
 * Images are served by digest alone, so that nothing here ever moves. Throws {@link DistributionError}.
 */
export function parseRoute(path: string): Route {
  const [root, version, ...rest] = path.split('/');
  if (root !== '' || version !== 'v2')
    throw new DistributionError('NAME_UNKNOWN', 'this registry lives below /v2/');
  if (rest.length === 0 || (rest.length === 1 && rest[0] === '')) return { kind: 'base' };
  const [namespace, image, kind, reference, ...more] = rest;
  if (namespace === undefined || image === undefined || !NAMESPACE.test(namespace) || !IMAGE.test(image)) {
    throw new DistributionError('NAME_INVALID', 'repositories are called <namespace>/<image>');
  }
  if ((kind !== 'manifests' && kind !== 'blobs') || reference === undefined || more.length > 0) {
    throw new DistributionError(
      'NAME_UNKNOWN',
      `${namespace}/${image} has manifests/<digest> and blobs/<digest>, nothing else`,
    );
  }
  if (isDigest(reference))
    return { kind: kind === 'manifests' ? 'manifest' : 'blob', namespace, image, digest: reference };
  if (kind === 'blobs')
    throw new DistributionError('DIGEST_INVALID', 'a digest is sha256: and 64 hex digits');
  throw new DistributionError('MANIFEST_UNKNOWN', `${namespace}/${image} has no tags; ask for a digest`);
}
