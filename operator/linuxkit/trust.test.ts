import { describe, expect, test } from 'vitest';
import { mustVerify } from './trust.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

describe('trust.image', () => {
  test.each([
    ['linuxkit/kernel', 'linuxkit/kernel:4.9.x', true],
    ['linuxkit/kernel', `linuxkit/kernel@${DIGEST}`, true],
    ['linuxkit/kernel', `docker.io/linuxkit/kernel:v1@${DIGEST}`, true],
    ['docker.io/linuxkit/kernel', 'linuxkit/kernel', true],
    ['linuxkit/kernel:v1', 'linuxkit/kernel:v1', true],
    ['linuxkit/kernel:v1', 'linuxkit/kernel:v2', false],
    ['linuxkit/kernel', 'linuxkit/kernel-debug:v1', false],
    ['linuxkit/kernel', 'quay.io/linuxkit/kernel:v1', false],
    ['localhost:5000/kernel', 'localhost:5000/kernel:v1', true],
    ['alpine', 'library/alpine:3', true],
  ])('%s, for %s: %s', (trusted, image, expected) => {
    expect(mustVerify({ image: [trusted] }, image)).toBe(expected);
  });
});

describe('trust.org', () => {
  test.each([
    ['linuxkit', 'linuxkit/init:v1', true],
    ['linuxkit', 'docker.io/linuxkit/init:v1', true],
    ['linuxkit', 'quay.io/linuxkit/init:v1', true],
    ['linuxkit/', 'linuxkit/init:v1', true],
    ['library', 'alpine', true],
    ['docker.io', 'alpine', true],
    ['quay.io/team', 'quay.io/team/sub/init', true],
    ['team', 'quay.io/team/sub/init', true],
    ['sub', 'quay.io/team/sub/init', true],
    ['quay.io/team', 'docker.io/team/init', false],
    ['linux', 'linuxkit/init', false],
    ['init', 'linuxkit/init', false],
  ])('%s, for %s: %s', (org, image, expected) => {
    expect(mustVerify({ org: [org] }, image)).toBe(expected);
  });
});

test('nothing is asked for by default', () => {
  expect(mustVerify(undefined, 'linuxkit/init')).toBe(false);
  expect(mustVerify({}, 'linuxkit/init')).toBe(false);
});
