import { describe, expect, it } from 'vitest';
import { sha256Digest } from '../oci/types.ts';
import { parseRoute } from './route.ts';

const digest = sha256Digest('a'.repeat(64));

describe('parseRoute', () => {
  it.each(['/v2/', '/v2'])('knows the base in %s', (path) => {
    expect(parseRoute(path)).toEqual({ kind: 'base' });
  });

  it('reads manifests and blobs', () => {
    const of = { namespace: 'tenant', image: 'web.v1', digest };
    expect(parseRoute(`/v2/tenant/web.v1/manifests/${digest}`)).toEqual({ kind: 'manifest', ...of });
    expect(parseRoute(`/v2/tenant/web.v1/blobs/${digest}`)).toEqual({ kind: 'blob', ...of });
  });

  it.each([
    ['/', 'NAME_UNKNOWN'],
    ['/v1/', 'NAME_UNKNOWN'],
    ['v2/', 'NAME_UNKNOWN'],
    ['/v2/tenant', 'NAME_INVALID'],
    [`/v2/web/manifests/${digest}`, 'NAME_UNKNOWN'],
    [`/v2/a/b/c/manifests/${digest}`, 'NAME_UNKNOWN'],
    [`/v2/tenant/web/manifests/${digest}/`, 'NAME_UNKNOWN'],
    ['/v2/tenant/web/tags/list', 'NAME_UNKNOWN'],
    [`/v2/../web/manifests/${digest}`, 'NAME_INVALID'],
    [`/v2/tenant/../manifests/${digest}`, 'NAME_INVALID'],
    [`/v2/tenant/_cache/blobs/${digest}`, 'NAME_INVALID'],
    [`/v2/Tenant/web/blobs/${digest}`, 'NAME_INVALID'],
    [`/v2/tenant/web%2e/blobs/${digest}`, 'NAME_INVALID'],
    [`/v2/tenant/${'a'.repeat(254)}/blobs/${digest}`, 'NAME_INVALID'],
    ['/v2/tenant/web/manifests/latest', 'MANIFEST_UNKNOWN'],
    ['/v2/tenant/web/blobs/sha256:short', 'DIGEST_INVALID'],
    [`/v2/tenant/web/blobs/sha512:${'a'.repeat(128)}`, 'DIGEST_INVALID'],
  ])('refuses %s with %s', (path, code) => {
    expect(() => parseRoute(path)).toThrow(expect.objectContaining({ code }));
  });
});
