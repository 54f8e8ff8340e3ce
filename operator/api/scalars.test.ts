import { describe, expect, test } from 'vitest';
import { isDigest } from './digest.ts';
import { durationMilliseconds } from './duration.ts';
import { fieldPath } from './object.ts';
import { quantityValue } from './quantity.ts';

describe('quantityValue', () => {
  test.each([
    ['512Mi', 536_870_912],
    ['0.5Gi', 536_870_912],
    ['1.', 1],
    ['.5', 0.5],
    ['1e3', 1000],
    ['1E3', 1000],
    ['1E', 1e18],
    ['1Ei', 2 ** 60],
    ['500m', 0.5],
    [1024, 1024],
    ['0', 0],
  ])('%s is %d', (text, value) => {
    expect(quantityValue(text)).toBeCloseTo(value);
  });

  test.each(['', '1 Gi', '512MB', '-1Gi', '1e1000', '1.2.3', 'Mi', '1mi', '0x10', 1.5, -1])(
    '%s is none',
    (text) => {
      expect(quantityValue(text)).toBeUndefined();
    },
  );
});

describe('durationMilliseconds', () => {
  test.each([
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
    ['0s', 0],
  ])('%s is %d ms', (text, value) => {
    expect(durationMilliseconds(text)).toBe(value);
  });

  test.each(['', '10', '1d', '-1s', '1 h', 's', '1us'])('%j is none', (text) => {
    expect(durationMilliseconds(text)).toBeUndefined();
  });
});

test('isDigest takes sha256 in lower case alone', () => {
  expect(isDigest(`sha256:${'0a'.repeat(32)}`)).toBe(true);
  for (const wrong of [
    `sha256:${'0A'.repeat(32)}`,
    `sha512:${'0a'.repeat(64)}`,
    '0a'.repeat(32),
    `x sha256:${'0a'.repeat(32)}`,
  ]) {
    expect(isDigest(wrong)).toBe(false);
  }
});

test('fieldPath writes paths as kubectl does', () => {
  expect(fieldPath(['spec', 'config', 'services', 1, 'name'])).toBe('spec.config.services[1].name');
  expect(fieldPath([])).toBe('(root)');
});
