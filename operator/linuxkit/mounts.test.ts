import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvalidSetting } from './errors.ts';
import { compareBytes } from './go-json.ts';
import { completeMount, containerMounts, parseBind, parseTmpfs } from './mounts.ts';
import type { MountSpec } from './schema.ts';

const VOLUMES = new Map([
  ['data', { readonly: false }],
  ['fixed', { readonly: true }],
]);
const NOTHING = { tmpfs: [], binds: [], mounts: [] };

describe('defaults', () => {
  test('in the order of their destinations', () => {
    expect(containerMounts(NOTHING, false, VOLUMES)).toEqual([
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      {
        destination: '/proc',
        type: 'proc',
        source: 'proc',
        options: ['nosuid', 'nodev', 'noexec', 'relatime'],
      },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/sys/fs/cgroup',
        type: 'cgroup',
        source: 'cgroup',
        options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
      },
    ]);
  });

  test('of a read-only container', () => {
    const readonly = containerMounts(NOTHING, true, VOLUMES);
    expect(
      readonly.filter(({ options }) => options.at(-1) === 'ro').map(({ destination }) => destination),
    ).toEqual(['/dev', '/sys', '/sys/fs/cgroup']);
  });
});

test('of several mounts for a destination the last one counts: mounts over binds over tmpfs over defaults', () => {
  const settings = {
    tmpfs: ['/a', '/b', '/dev:mode=700'],
    binds: ['/x:/b', '/x:/c'],
    mounts: [
      { type: 'proc', destination: '/c' },
      { type: 'cgroup', options: ['rw'] },
    ],
  };
  const byDestination = new Map(
    containerMounts(settings, false, VOLUMES).map((mount) => [mount.destination, mount]),
  );
  expect(byDestination.get('/a')?.type).toBe('tmpfs');
  expect(byDestination.get('/b')?.type).toBe('bind');
  expect(byDestination.get('/c')?.type).toBe('proc');
  expect(byDestination.get('/dev')?.options).toEqual(['mode=700']);
  expect(byDestination.get('/sys/fs/cgroup')?.options).toEqual(['rw']);
});

test.each([
  ['/run', []],
  ['/run:', []],
  ['/run:size=1m,mode=700', ['size=1m', 'mode=700']],
])('tmpfs %s', (text, options) => {
  expect(parseTmpfs(text)).toEqual({ destination: '/run', type: 'tmpfs', source: 'tmpfs', options });
});

test.each([
  ['/a:/b', '/a', ['rw', 'rbind', 'rshared']],
  ['/a:/b:ro', '/a', ['ro', 'rbind']],
  ['/a:/b:rw,rshared', '/a', ['rw', 'rshared', 'rbind']],
  ['data:/b', '/containers/volumes/data/merged', ['rw', 'rbind', 'rshared']],
  ['fixed:/b:ro', '/containers/volumes/fixed/merged', ['ro', 'rbind']],
])('bind %s', (text, source, options) => {
  expect(parseBind(text, VOLUMES)).toEqual({ destination: '/b', type: 'bind', source, options });
});

test.each([
  ['/a', "cannot parse bind, missing ':': /a"],
  ['/a:/b:ro:x', "cannot parse bind, too many ':': /a:/b:ro:x"],
  ['nothing:/b', 'volume nothing is not defined in volumes'],
  ['fixed:/b', 'volume fixed is read-only'],
  ['fixed:/b:rw', 'volume fixed is read-only'],
])('bind %s is refused', (text, message) => {
  expect(() => parseBind(text, VOLUMES)).toThrow(InvalidSetting);
  expect(() => parseBind(text, VOLUMES)).toThrow(message);
});

test.each<[MountSpec, object]>([
  [{ source: 'mqueue' }, { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: [] }],
  [{ type: 'devpts' }, { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: [] }],
  [
    { destination: '/dev', options: ['ro'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['ro'] },
  ],
  [
    { destination: '/s', source: 'sysfs' },
    { destination: '/s', type: 'sysfs', source: 'sysfs', options: [] },
  ],
  [
    { type: 'bind', source: '/a', destination: '/b' },
    { destination: '/b', type: 'bind', source: '/a', options: [] },
  ],
  [
    { type: 'bind', source: 'data', destination: '/b' },
    { destination: '/b', type: 'bind', source: '/containers/volumes/data/merged', options: ['rbind'] },
  ],
  [
    { type: 'bind', source: 'fixed', destination: '/b', options: ['bind', 'ro'] },
    { destination: '/b', type: 'bind', source: '/containers/volumes/fixed/merged', options: ['bind', 'ro'] },
  ],
  [
    { type: 'ext4', source: '/dev/sda', destination: '/b', uidmappings: [{ hostID: 5, size: 1 }] },
    {
      destination: '/b',
      type: 'ext4',
      source: '/dev/sda',
      options: [],
      uidMappings: [{ containerID: 0, hostID: 5, size: 1 }],
    },
  ],
])('mount %j', (mount, complete) => {
  expect(completeMount(mount, VOLUMES)).toEqual(complete);
});

test.each<[MountSpec, string]>([
  [{ destination: '/b' }, 'mount for destination /b is missing type'],
  [{ type: 'ext4' }, 'mount type ext4 is missing destination'],
  [{ type: 'bind', source: 'nothing', destination: '/b' }, 'volume nothing is not defined in volumes'],
  [{ type: 'bind', source: 'fixed', destination: '/b', options: ['rw', 'ro'] }, 'volume fixed is read-only'],
])('mount %j is refused', (mount, message) => {
  expect(() => completeMount(mount, VOLUMES)).toThrow(message);
});

test('destinations are unique and in the order of their bytes', () => {
  const path = fc.stringMatching(/^\/[a-c/é\u{10000}]{0,4}$/u);
  fc.assert(
    fc.property(fc.array(path), fc.array(path), (tmpfs, binds) => {
      const mounts = containerMounts(
        { tmpfs, binds: binds.map((to) => `/x:${to}`), mounts: [] },
        false,
        VOLUMES,
      );
      const destinations = mounts.map(({ destination }) => destination);
      expect(destinations).toEqual([...new Set(destinations)].toSorted(compareBytes));
      for (const to of binds) expect(mounts.find(({ destination }) => destination === to)?.type).toBe('bind');
    }),
  );
});
