import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Digest } from '../oci/types.ts';
import { artifactDigest, canonicalJson, contentSum, hashOf, inputsHash } from './identity.ts';

describe('canonicalJson', () => {
  it.each([
    [{ b: 1, a: [true, null, 'x"y'] }, '{"a":[true,null,"x\\"y"],"b":1}'],
    [{ a: undefined, b: {} }, '{"b":{}}'],
    [[undefined, -0, 1e21], '[null,0,1e+21]'],
    [{ é: 1, z: 2, Z: 3 }, '{"Z":3,"z":2,"é":1}'],
  ])('spells %j', (value, text) => expect(canonicalJson(value)).toBe(text));

  it.each([[Number.NaN], [1n], [() => 0]])('refuses %s', (value) => {
    expect(() => canonicalJson({ value })).toThrow(TypeError);
  });

  it('says the same as JSON, in one spelling whatever the order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(Object.fromEntries(Object.entries(value).reverse()))).toBe(text);
      }),
    );
  });
});

const sum = (text: string): { size: number; sha256: string } => ({ size: text.length, sha256: hashOf(text) });
const digest = (text: string) => sha256Digest(hashOf(text));

describe('identity', () => {
  const artifact = {
    architecture: 'amd64',
    compression: 'zstd',
    kernel: hashOf('k'),
    initrd: contentSum([sum('a')]),
    cmdline: 'quiet',
  } as const;

  it.each([
    [{ architecture: 'arm64' }],
    [{ compression: 'gzip' }],
    [{ kernel: hashOf('l') }],
    [{ initrd: contentSum([sum('a'), sum('b')]) }],
    [{ cmdline: 'quiet ' }],
  ] as const)('changes with %j', (change) => {
    expect(artifactDigest({ ...artifact, ...change })).not.toBe(artifactDigest(artifact));
  });

  it('is a digest that stays from release to release', () => {
    expect(artifactDigest(artifact)).toMatchInlineSnapshot(
      `"sha256:a12711942d1f1746b7a581943ad317fad71aeac0f2bff81c7b1a87c7142ea2d2"`,
    );
  });

  const inputs = {
    architecture: 'amd64',
    compression: 'auto',
    config: { kernel: { image: 'k:1' }, init: ['a'] },
    images: [{ location: 'kernel', reference: 'k:1', digest: digest('k') }],
    files: [{ path: 'etc/x', mode: 0o600, sum: sum('x') }],
  } as const;

  it.each([
    [{ compression: 'zstd' }],
    [{ config: { ...inputs.config, init: [] } }],
    [{ images: [{ location: 'kernel', reference: 'k:1', digest: digest('l') }] }],
    [{ images: [{ location: 'init[0]', reference: 'k:1', digest: digest('k') }] }],
    [{ files: [{ path: 'etc/x', mode: 0o600, sum: sum('y') }] }],
    [{ files: [{ path: 'etc/x', mode: 0o644, sum: sum('x') }] }],
    [{ verification: { publicKeys: ['one'] } }],
  ] as const)('of inputs changes with %j', (change) => {
    expect(inputsHash({ ...inputs, ...change })).not.toBe(inputsHash(inputs));
  });

  it('of inputs does not depend on the order of fields', () => {
    expect(inputsHash({ ...inputs, config: { init: ['a'], kernel: { image: 'k:1' } } })).toBe(
      inputsHash(inputs),
    );
  });
});
