import { describe, expect, it } from 'vitest';
import { sha256Digest } from '../oci/types.ts';
import {
  ARTIFACT_FILES,
  artifactFolder,
  artifactKey,
  cacheKey,
  digestOfFolder,
  memberKey,
  placeOf,
  resultKey,
} from './layout.ts';

const digest = sha256Digest('ab'.repeat(32));

describe('cacheKey', () => {
  const hex = '0f'.repeat(32);
  const pod = { namespace: 'tenant', image: 'web.v1' };
  it.each([
    ['Namespace', memberKey(hex), `tenant/_cache/members/${hex}`],
    ['Namespace', resultKey(hex), `tenant/_cache/results/${hex}`],
    ['Image', memberKey(hex), `tenant/_cache/images/web.v1/members/${hex}`],
    ['Image', resultKey(hex), `tenant/_cache/images/web.v1/results/${hex}`],
    ['Cluster', memberKey(hex), `_shared/_cache/members/${hex}`],
    // Which artifact of this image a build gave, nobody outside its namespace says.
    ['Cluster', resultKey(hex), `tenant/_cache/results/${hex}`],
  ] as const)('shared by %s, %s is %s', (sharing, key, whole) => {
    expect(cacheKey(sharing, pod, key)).toBe(whole);
  });
});

describe('placeOf', () => {
  it.each(ARTIFACT_FILES)('reads back where %s of an artifact lies', (file) => {
    expect(placeOf(artifactKey('web.v1', digest, file))).toEqual({
      kind: 'artifact',
      image: 'web.v1',
      digest,
      file,
    });
  });

  it('reads back where cache entries lie', () => {
    expect(placeOf(memberKey('0f'.repeat(32)))).toEqual({ kind: 'member' });
    expect(placeOf(resultKey('0f'.repeat(32)))).toEqual({ kind: 'result' });
  });

  it.each([
    '',
    'web',
    `web/${artifactFolder(digest)}`,
    `web/${artifactFolder(digest)}/`,
    `web/${artifactFolder(digest)}/other`,
    `web/${artifactFolder(digest)}/kernel/x`,
    `web/sha256-${'ab'.repeat(31)}/kernel`,
    `web/sha256-${'AB'.repeat(32)}/kernel`,
    `web/${digest}/kernel`,
    `Web/${artifactFolder(digest)}/kernel`,
    `_cache/${artifactFolder(digest)}/kernel`,
    `../${artifactFolder(digest)}/kernel`,
    `-/${artifactFolder(digest)}/kernel`,
    '_cache/members/xyz',
    '_cache/members/..',
    '_cache/other/0123456789abcdef',
  ])('knows no place for %j', (key) => {
    expect(placeOf(key)).toBeUndefined();
  });
});

describe('digestOfFolder', () => {
  it('is the inverse of artifactFolder', () => {
    expect(digestOfFolder(artifactFolder(digest))).toBe(digest);
    expect(digestOfFolder('sha512-00')).toBeUndefined();
  });
});
