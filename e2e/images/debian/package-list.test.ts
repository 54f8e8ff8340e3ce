import { describe, expect, test } from 'vitest';

import { parseDepends, parseShow } from './package-list.ts';

describe('parseShow', () => {
  test('reads each paragraph', () => {
    const output = [
      'Package: runc',
      'Source: runc (1.1.5+ds1-1)',
      'Version: 1.1.5+ds1-1+deb12u1',
      'Architecture: amd64',
      'Description: runs containers',
      'SHA256: aa',
      '',
      'Package: half',
      '',
    ].join('\n');
    expect(parseShow(output)).toEqual([
      { name: 'runc', version: '1.1.5+ds1-1+deb12u1', architecture: 'amd64', sha256: 'aa' },
    ]);
  });
});

describe('parseDepends', () => {
  const output = [
    'a',
    '  Depends: b',
    ' |Depends: c',
    '  Depends: d',
    '  PreDepends: <virtual>',
    '    e',
    'b',
    '  Depends: a',
    'c',
    'd',
    '  Depends: f',
    'stranger',
    '  Depends: b',
  ].join('\n');

  test('takes first alternatives, survives cycles, leaves out what is not asked for', () => {
    expect(parseDepends(output, ['a'])).toEqual(['a', 'b', 'c']);
    expect(parseDepends(output, ['d'])).toEqual(['d', 'f']);
  });
});
