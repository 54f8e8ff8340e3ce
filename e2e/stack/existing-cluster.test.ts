import { expect, test } from 'vitest';
import { parseGivenRegistry } from './existing-cluster.ts';

test.each([
  ['registry.example/team', { path: 'registry.example/team', plainHttp: false }],
  ['https://registry.example:5000/', { path: 'registry.example:5000', plainHttp: false }],
  ['http://10.0.0.1:5000/a/b', { path: '10.0.0.1:5000/a/b', plainHttp: true }],
])('the registry %s', (text, expected) => {
  expect(parseGivenRegistry(text)).toEqual(expected);
});
