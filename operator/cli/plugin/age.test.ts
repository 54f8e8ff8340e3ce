import { expect, it } from 'vitest';
import { age, shortDigest } from './age.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');

it.each([
  [undefined, '-'],
  ['not a time', '-'],
  ['2026-11-24T12:00:05Z', '0s'],
  ['2026-11-24T11:59:15Z', '45s'],
  ['2026-11-24T11:47:30Z', '12m'],
  ['2026-11-24T08:40:00Z', '3h20m'],
  ['2026-11-24T01:30:00Z', '10h'],
  ['2026-11-22T08:00:00Z', '2d4h'],
  ['2026-11-01T08:00:00Z', '23d'],
])('%s was %s ago', (time, text) => {
  expect(age(time, NOW)).toBe(text);
});

it('shortens digests', () => {
  expect(shortDigest(`sha256:0123456789abcdef${'0'.repeat(48)}`)).toBe('sha256:01234567…');
  expect(shortDigest(undefined)).toBe('-');
});
