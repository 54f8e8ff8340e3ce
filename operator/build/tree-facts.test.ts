import { describe, expect, it } from 'vitest';
import { parseKernelFacts, parseMemberFacts, parseTreeFacts } from './tree-facts.ts';

const sum = { size: 1, sha256: 'a'.repeat(64) };
const entries = [
  { path: 'etc', type: 'directory' },
  { path: 'usr', type: 'implied' },
  { path: 'etc/hosts', type: 'file' },
  { path: 'dev/null', type: 'special' },
  { path: 'bin', type: 'symlink', target: 'usr/bin' },
];

describe('what is remembered', () => {
  it('is read back as it was', () => {
    const tree = { index: entries, packages: 'P:busybox\n' };
    expect(parseTreeFacts(JSON.parse(JSON.stringify(tree)))).toEqual(tree);
    const kernel = { binary: sum, ucode: sum, index: [] };
    expect(parseKernelFacts(kernel)).toEqual(kernel);
    const member = { parts: [{ stored: sum, archive: sum }] };
    expect(parseMemberFacts(member)).toEqual(member);
  });

  it.each([
    ['nothing', undefined],
    ['no object', 'text'],
    ['no list', { index: {} }],
    ['no entry', { index: [null] }],
    ['an entry without a path', { index: [{ type: 'file' }] }],
    ['a path that is no text', { index: [{ path: 1, type: 'file' }] }],
    ['an unknown type', { index: [{ path: 'a', type: 'socket' }] }],
    ['a link that leads nowhere', { index: [{ path: 'a', type: 'symlink' }] }],
    ['packages that are no text', { index: [], packages: 1 }],
  ])('is not believed of a tree when it is %s', (_, value) => {
    expect(parseTreeFacts(value)).toBeUndefined();
  });

  it.each([
    ['a size below zero', { ...sum, size: -1 }],
    ['a sum that is none', { ...sum, sha256: 'x' }],
  ])('is not believed of a member when it has %s', (_, wrong) => {
    expect(parseMemberFacts({ parts: [{ stored: sum, archive: wrong }] })).toBeUndefined();
    expect(parseKernelFacts({ binary: wrong, index: [] })).toBeUndefined();
  });
});
