import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MEDIA_TYPES, parseImageConfig, parseManifest } from './manifest.ts';
import { choosePlatform } from './platform.ts';
import { type Descriptor, sha256Digest } from './types.ts';

const digest = (digit: number) => sha256Digest(String(digit).repeat(64));
const config = { mediaType: MEDIA_TYPES.dockerConfig, digest: digest(1), size: 2 };
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('parseManifest', () => {
  it.each([
    ['OCI', MEDIA_TYPES.ociManifest, undefined],
    ['Docker', MEDIA_TYPES.dockerManifest, MEDIA_TYPES.dockerManifest],
    ['a parameter', `${MEDIA_TYPES.ociManifest}; charset=utf-8`, undefined],
    ['only its own word', undefined, MEDIA_TYPES.ociManifest],
    ['nobody’s word', undefined, undefined],
    ['octets', 'application/octet-stream', undefined],
  ])('reads an image by %s', (_, contentType, mediaType) => {
    const document = {
      schemaVersion: 2,
      mediaType,
      config,
      layers: [{ mediaType: 'l', digest: digest(2), size: 0 }],
    };
    expect(parseManifest(json(document), contentType, 'm')).toMatchObject({
      kind: 'image',
      config,
      layers: [{ size: 0 }],
    });
  });

  it.each([
    [{ layers: [], config: { ...config, digest: 'sha512:00' } }, /"config" has no digest/],
    [{ layers: [], config: { ...config, size: -1 } }, /"config" has no size/],
    [{ layers: [], config: { ...config, size: 1.5 } }, /"config" has no size/],
    [{ layers: [], config: { ...config, annotations: { a: 1 } } }, /"config.annotations"/],
    [{ layers: [], config: { ...config, platform: { os: 'linux' } } }, /"config.platform" lacks/],
    [{ layers: {}, config }, /"layers" is not a list/],
    [{ manifests: [{}] }, /"manifests\[0\]" has no media type/],
    [{}, /neither an image nor an index/],
    [[], /not a JSON object/],
  ])('refuses %j', (document, message) => {
    expect(() => parseManifest(json(document), undefined, 'name')).toThrow(message);
  });

  it('fails with its own errors alone, whatever it is given', () => {
    const own = ['InvalidManifest', 'UnsupportedMediaType', 'LimitExceeded'];
    const anything = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .record(
          {
            config: fc.anything(),
            layers: fc.anything(),
            manifests: fc.anything(),
            mediaType: fc.anything(),
            rootfs: fc.anything(),
            os: fc.string(),
            architecture: fc.string(),
          },
          { requiredKeys: [] },
        )
        .map((value) =>
          Buffer.from(JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? 0 : item))),
        ),
    );
    fc.assert(
      fc.property(anything, fc.constantFrom(undefined, ...Object.values(MEDIA_TYPES)), (bytes, type) => {
        for (const parse of [() => parseManifest(bytes, type, 'n'), () => parseImageConfig(bytes, 'n')]) {
          try {
            parse();
          } catch (error) {
            expect(own).toContain((error as { code?: unknown }).code);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('parseImageConfig', () => {
  it('reads what a build uses and leaves the rest', () => {
    const document = {
      architecture: 'arm64',
      variant: 'v8',
      os: 'linux',
      created: 'x',
      config: {
        Entrypoint: null,
        Cmd: ['a'],
        Env: ['A=b'],
        WorkingDir: '/w',
        Labels: { l: 'v' },
        User: 'me',
      },
      rootfs: { type: 'layers', diff_ids: [digest(3)] },
    };
    expect(parseImageConfig(json(document), 'c')).toEqual({
      architecture: 'arm64',
      variant: 'v8',
      os: 'linux',
      config: { Cmd: ['a'], Env: ['A=b'], WorkingDir: '/w', Labels: { l: 'v' } },
      diffIds: [digest(3)],
    });
  });

  it.each([
    [{ os: 'linux' }, /"architecture"/],
    [{ os: 'linux', architecture: 'amd64' }, /diff_ids/],
    [{ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: ['x'] } }, /diff_ids\[0\]/],
    [{ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: [] }, config: { Cmd: 'x' } }, /config.Cmd/],
    [
      { os: 'linux', architecture: 'amd64', rootfs: { diff_ids: [] }, config: { Labels: { a: 1 } } },
      /config.Labels/,
    ],
  ])('refuses %j', (document, message) => {
    expect(() => parseImageConfig(json(document), 'c')).toThrow(message);
  });
});

describe('choosePlatform', () => {
  const entry = (digit: number, platform?: string, annotations = {}): Descriptor => {
    const [os = '', architecture = '', variant] = platform?.split('/') ?? [];
    return {
      mediaType: MEDIA_TYPES.ociManifest,
      digest: digest(digit),
      size: 1,
      ...(platform !== undefined && {
        platform: { os, architecture, ...(variant !== undefined && { variant }) },
      }),
      annotations,
    };
  };
  it.each([
    ['linux/amd64', [entry(1, 'linux/arm64'), entry(2, 'linux/amd64')], 2],
    ['linux/amd64', [entry(1, 'linux/amd64/v3'), entry(2, 'linux/amd64')], 2],
    ['linux/amd64', [entry(1, 'linux/amd64/v3')], 1],
    ['linux/arm64', [entry(1, 'linux/arm64/v9'), entry(2, 'linux/arm64/v8')], 2],
    ['linux/arm/v7', [entry(1, 'linux/arm/v6'), entry(2, 'linux/arm/v7')], 2],
    ['linux/amd64', [entry(1, 'windows/amd64'), entry(2)], 2],
    [
      'linux/amd64',
      [
        entry(1, 'linux/amd64', { 'vnd.docker.reference.type': 'attestation-manifest' }),
        entry(2, 'linux/amd64'),
      ],
      2,
    ],
  ])('for %s', (wanted, manifests, expected) => {
    const [os = '', architecture = '', variant] = wanted.split('/');
    const platform = { os, architecture, ...(variant !== undefined && { variant }) };
    expect(choosePlatform(manifests, platform, 'n').digest).toBe(digest(expected));
  });

  it('says what there is', () => {
    const wanted = { os: 'linux', architecture: 'riscv64' };
    expect(() => choosePlatform([entry(1, 'linux/amd64'), entry(2, 'unknown/unknown')], wanted, 'n')).toThrow(
      'n: there is no image for linux/riscv64; it is for linux/amd64',
    );
    expect(() => choosePlatform([], wanted, 'n')).toThrow('no platform at all');
  });
});
