import { expect, test } from 'vitest';
import { BUILD_TIME, HOSTS, RESOLV_CONF } from './constants.ts';
import { addedEntries, flattenAction } from './flatten-rules.ts';

test.each([
  ['.dockerenv', 'drop'],
  ['Dockerfile', 'drop'],
  ['dev/console', 'drop'],
  ['etc/hostname', 'drop'],
  ['dev/pts', 'replace'],
  ['dev/shm', 'replace'],
  ['etc', 'replace'],
  ['etc/hosts', 'replace'],
  ['etc/resolv.conf', 'replace'],
  ['proc', 'replace'],
  ['sys', 'replace'],
  ['etc/mtab', 'touch'],
  ['dev/console/x', 'keep'],
  ['dev/pts/0', 'keep'],
  ['usr/etc/hosts', 'keep'],
  ['Dockerfile.old', 'keep'],
])('%s: %s', (path, action) => {
  expect(flattenAction(path)).toEqual({ action });
});

test('the two files have the sizes that LinuxKit gives them', () => {
  expect(Buffer.byteLength(HOSTS)).toBe(160);
  expect(Buffer.byteLength(RESOLV_CONF)).toBe(29);
});

test('every image gets the same directories, of root and of the same time', () => {
  const entries = addedEntries('bundle', new Set());
  expect(entries.map(({ path, type, mode }) => `${type} ${path} ${mode.toString(8)}`)).toEqual([
    'directory dev 755',
    'directory dev/pts 755',
    'directory dev/shm 755',
    'directory etc 755',
    'file etc/hosts 644',
    'symlink etc/mtab 755',
    'file etc/resolv.conf 644',
    'directory proc 755',
    'directory sys 755',
  ]);
  for (const { uid, gid, mtime } of entries)
    expect({ uid, gid, mtime }).toEqual({ uid: 0, gid: 0, mtime: BUILD_TIME });
});

test('an mtab of the image stays', () => {
  expect(addedEntries('bundle', new Set(['etc/mtab'])).map(({ path }) => path)).not.toContain('etc/mtab');
});

test.each([
  ['kernel', { type: 'file', contents: RESOLV_CONF }],
  ['bundle', { type: 'file', contents: RESOLV_CONF }],
  ['init', { type: 'symlink', target: '/run/resolvconf/resolv.conf' }],
  ['volume', { type: 'symlink', target: '/run/resolvconf/resolv.conf' }],
] as const)('resolv.conf of %s', (kind, expected) => {
  expect(addedEntries(kind, new Set()).find(({ path }) => path === 'etc/resolv.conf')).toMatchObject(
    expected,
  );
});
