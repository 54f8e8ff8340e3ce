import { describe, expect, test } from 'vitest';
import { parseLinuxKitObject } from './parse.ts';
import { planImage } from './plan.ts';
import { expandReference } from './references.ts';

function plan(config: unknown) {
  return planImage(parseLinuxKitObject(config, { allowSource: false }));
}

describe('kernel', () => {
  test.each([
    [{}, { binaries: ['kernel', 'bzImage'], tar: 'kernel.tar' }],
    [
      { binary: 'vmlinuz', tar: 'modules.tar' },
      { binaries: ['vmlinuz'], tar: 'modules.tar' },
    ],
    [{ binary: '', tar: 'none' }, { binaries: ['kernel', 'bzImage'] }],
    [{ tar: '', ucode: '' }, { binaries: ['kernel', 'bzImage'] }],
    [
      { tar: 'none', ucode: 'intel.cpio' },
      { binaries: ['kernel', 'bzImage'], ucode: 'intel.cpio' },
    ],
  ])('%j', (kernel, expected) => {
    expect(plan({ kernel: { image: 'k', ...kernel } }).kernel).toEqual({
      kind: 'kernel',
      location: 'kernel',
      image: 'k',
      cmdline: '',
      ...expected,
    });
  });

  test('is absent without an image', () => {
    expect(plan({ kernel: { cmdline: 'a' } })).not.toHaveProperty('kernel');
    expect(plan({})).toEqual({ init: [], volumes: [], containers: [], files: [] });
  });
});

test('containers in the order of their sections, with folders and locations', () => {
  const { containers } = plan({
    services: [{ name: 's', image: 'i' }],
    onshutdown: [{ name: 'd', image: 'i' }],
    onboot: Array.from({ length: 11 }, () => ({ name: 'b', image: 'i' })),
  });
  expect(containers.map(({ location, path }) => `${location} ${path}`)).toEqual([
    ...Array.from({ length: 11 }, (_, i) => `onboot[${i}] containers/onboot/${String(i).padStart(3, '0')}-b`),
    'onshutdown[0] containers/onshutdown/000-d',
    'services[0] containers/services/s',
  ]);
});

test('volumes, empty and of an image', () => {
  const { volumes } = plan({
    volumes: [{ name: 'a' }, { name: 'b', image: 'i', format: 'oci', platforms: ['linux/amd64'] }],
  });
  expect(volumes[0]).not.toHaveProperty('image');
  expect(volumes[0]?.entries.map(({ path }) => path)).toEqual([
    'containers',
    'containers/volumes',
    'containers/volumes/a',
    'containers/volumes/a/lower',
    'containers/volumes/a/tmp',
    'containers/volumes/a/merged',
  ]);
  expect(volumes[1]).toMatchObject({
    location: 'volumes[1]',
    image: 'i',
    format: 'oci',
    lower: 'containers/volumes/b/lower',
    volume: { platforms: ['linux/amd64'] },
  });
});

test('init images keep their order', () => {
  expect(plan({ init: ['a', 'b'] }).init).toEqual([
    { kind: 'init', location: 'init[0]', image: 'a' },
    { kind: 'init', location: 'init[1]', image: 'b' },
  ]);
});

test.each([
  ['alpine', 'docker.io/library/alpine'],
  ['alpine:3', 'docker.io/library/alpine:3'],
  ['linuxkit/init:v1', 'docker.io/linuxkit/init:v1'],
  ['localhost/init', 'localhost/init'],
  ['localhost:5000/init', 'localhost:5000/init'],
  ['quay.io/init', 'quay.io/init'],
  ['a/b/c', 'a/b/c'],
  ['alpine@sha256:0', 'docker.io/library/alpine@sha256:0'],
])('%s is %s', (name, full) => {
  expect(expandReference(name)).toBe(full);
});
