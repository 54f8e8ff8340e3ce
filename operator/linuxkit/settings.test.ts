import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CAPABILITY_SPELLINGS, capabilitySets } from './capabilities.ts';
import { deviceAccess, deviceNode } from './devices.ts';
import { InvalidSetting } from './errors.ts';
import { goJson } from './go-json.ts';
import { containerIds, numericId } from './ids.ts';
import { namespaces } from './namespaces.ts';
import { resourcesJson } from './resources.ts';
import { parseRlimit } from './rlimits.ts';
import type { ImageLabel, ImageSpec } from './schema.ts';
import { containerSettings } from './settings.ts';

const UNLIMITED = 18_446_744_073_709_551_615n;

describe('capabilities', () => {
  test('effective in the given order, the others sorted with the ambient ones', () => {
    expect(capabilitySets(['CAP_SYS_ADMIN', 'CAP_CHOWN', 'CAP_CHOWN'], ['CAP_NET_RAW'])).toEqual({
      bounding: ['CAP_CHOWN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN'],
      effective: ['CAP_SYS_ADMIN', 'CAP_CHOWN', 'CAP_CHOWN'],
      inheritable: ['CAP_CHOWN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN'],
      permitted: ['CAP_CHOWN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN'],
      ambient: ['CAP_NET_RAW'],
    });
  });

  test.each([['all'], ['ALL'], ['All']] as const)(
    '%s stands for the 41 in order of their numbers',
    (word) => {
      const { effective, bounding } = capabilitySets([word], []);
      expect(effective).toHaveLength(41);
      expect([effective[0], effective[21], effective[40]]).toEqual([
        'CAP_CHOWN',
        'CAP_SYS_ADMIN',
        'CAP_CHECKPOINT_RESTORE',
      ]);
      expect([bounding[0], bounding[40]]).toEqual(['CAP_AUDIT_CONTROL', 'CAP_WAKE_ALARM']);
    },
  );

  test('all beside others is still all, none beside others adds nothing', () => {
    expect(capabilitySets(['CAP_CHOWN', 'all'], []).effective).toHaveLength(41);
    expect(capabilitySets(['none', 'CAP_CHOWN'], ['None'])).toMatchObject({
      effective: ['CAP_CHOWN'],
      ambient: [],
    });
  });
});

test('every set of capabilities lies within the bounding set, which is sorted and without repetition', () => {
  const list = fc.array(fc.constantFrom(...CAPABILITY_SPELLINGS), { maxLength: 8 });
  fc.assert(
    fc.property(list, list, (capabilities, ambient) => {
      const sets = capabilitySets(capabilities, ambient);
      expect(sets.bounding).toEqual([...new Set(sets.bounding)].toSorted());
      expect(sets.bounding).toEqual(expect.arrayContaining([...sets.effective, ...sets.ambient]));
      for (const name of sets.bounding) expect(name).toMatch(/^CAP_[A-Z_]+$/);
    }),
  );
});

describe('rlimits', () => {
  test.each([
    ['nofile,1024,4096', { type: 'RLIMIT_NOFILE', hard: 4096n, soft: 1024n }],
    [' NoFile , 1 , unlimited ', { type: 'RLIMIT_NOFILE', hard: UNLIMITED, soft: 1n }],
    ['rlimit_as,UNLIMITED,18446744073709551615', { type: 'RLIMIT_AS', hard: UNLIMITED, soft: UNLIMITED }],
  ])('%s', (text, limit) => {
    expect(parseRlimit(text)).toEqual(limit);
  });

  test.each([
    ['nofile,1', /cannot parse rlimit/],
    ['nofile,1,2,3', /cannot parse rlimit/],
    ['files,1,2', /unknown limit "files"/],
    ['nofile,-1,2', /cannot parse limit "-1"/],
    ['nofile,1,18446744073709551616', /cannot parse limit/],
    ['nofile,,2', /cannot parse limit ""/],
  ])('%s is refused', (text, message) => {
    expect(() => parseRlimit(text)).toThrow(InvalidSetting);
    expect(() => parseRlimit(text)).toThrow(message);
  });
});

describe('ids', () => {
  const ids = containerIds({
    onboot: [{ name: 'a' }, { name: 'b' }],
    onshutdown: [{ name: 'c' }],
    services: [{ name: 'd' }, { name: 'a' }],
  });

  test('number from 100 through all sections, a later name winning', () => {
    expect(Object.fromEntries(ids)).toEqual({ a: 104, b: 101, c: 102, d: 103 });
  });

  test.each([
    [undefined, 0],
    ['', 0],
    ['root', 0],
    [7, 7],
    ['b', 101],
  ])('%j is %j', (id, number) => {
    expect(numericId(id, ids)).toBe(number);
  });

  test('unknown names are refused', () => {
    expect(() => numericId('www-data', ids)).toThrow('cannot find id "www-data"');
    expect(() => numericId('7', ids)).toThrow(InvalidSetting);
  });
});

describe('namespaces', () => {
  const nothing = { net: '', ipc: '', uts: '', pid: '', userns: '' };

  test('a process and a mount namespace by default', () => {
    expect(namespaces(nothing)).toEqual([{ type: 'pid' }, { type: 'mount' }]);
  });

  test('host and root mean none', () => {
    expect(namespaces({ net: 'host', ipc: 'root', uts: 'host', pid: 'host', userns: 'root' })).toEqual([
      { type: 'mount' },
    ]);
  });

  test('new, none and paths, in a fixed order', () => {
    expect(namespaces({ net: 'none', ipc: 'new', uts: '/run/uts', pid: '/run/pid', userns: 'new' })).toEqual([
      { type: 'network' },
      { type: 'ipc' },
      { type: 'uts', path: '/run/uts' },
      { type: 'pid', path: '/run/pid' },
      { type: 'user' },
      { type: 'mount' },
    ]);
    // Only a network can be none.
    expect(namespaces({ ...nothing, ipc: 'none' })).toContainEqual({ type: 'ipc', path: 'none' });
  });
});

describe('devices', () => {
  test('a node with access to it', () => {
    const device = { path: '/dev/null', type: 'c', major: 1, minor: 3, mode: '0666' };
    expect(deviceNode(device)).toEqual({ path: '/dev/null', type: 'c', major: 1, minor: 3, fileMode: 438 });
    expect(deviceAccess(device)).toEqual({ allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' });
  });

  test('all is access without a node, and without numbers', () => {
    expect(deviceNode({ path: 'all', type: 'b' })).toBeUndefined();
    expect(deviceAccess({ path: 'all', type: 'b' })).toEqual({ allow: true, type: 'b', access: 'rwm' });
  });

  test('a node needs a mode', () => {
    expect(() => deviceNode({ path: '/dev/x', type: 'c' })).toThrow('device /dev/x needs a mode');
  });
});

test('resources have the names and the order of the runtime-spec', () => {
  const json = resourcesJson(
    {
      network: { classID: 5, priorities: [{ name: 'eth0', priority: 1 }] },
      hugepageLimits: [
        { pageSize: 2_097_152, limit: 1 },
        { pageSize: '1GB', limit: 2 },
      ],
      blockio: {
        leafWeight: 20,
        weight: 10,
        weightDevice: [{ major: 8, leafWeight: 11 }],
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }],
        throttleWriteIOPSDevice: [{ rate: 5 }],
      },
      pids: { limit: -1 },
      cpu: { cpus: '0-1', realtimePeriod: 1, realtimeRuntime: 2, shares: 3, mems: '' },
      memory: { disableOOMKiller: false, kernelTCP: 6, limit: 1, swap: -1 },
      devices: [{ allow: false, type: 'a', access: 'rwm' }, {}],
    },
    [{ allow: true }],
  );
  expect(goJson(json)).toBe(
    `{
    "devices": [
        {
            "allow": false,
            "type": "a",
            "access": "rwm"
        },
        {
            "allow": false
        },
        {
            "allow": true
        }
    ],
    "memory": {
        "limit": 1,
        "swap": -1,
        "kernelTCP": 6,
        "disableOOMKiller": false
    },
    "cpu": {
        "shares": 3,
        "realtimeRuntime": 2,
        "realtimePeriod": 1,
        "cpus": "0-1"
    },
    "pids": {
        "limit": -1
    },
    "blockIO": {
        "weight": 10,
        "leafWeight": 20,
        "weightDevice": [
            {
                "major": 8,
                "minor": 0,
                "leafWeight": 11
            }
        ],
        "throttleReadBpsDevice": [
            {
                "major": 8,
                "minor": 0,
                "rate": 600
            }
        ],
        "throttleWriteIOPSDevice": [
            {
                "major": 0,
                "minor": 0,
                "rate": 5
            }
        ]
    },
    "hugepageLimits": [
        {
            "pageSize": "2MB",
            "limit": 1
        },
        {
            "pageSize": "1GB",
            "limit": 2
        }
    ],
    "network": {
        "classID": 5,
        "priorities": [
            {
                "name": "eth0",
                "priority": 1
            }
        ]
    }
}`,
  );
});

describe('settings of a container', () => {
  const spec = { name: 'a', image: 'b' };
  const image = { Entrypoint: ['/e'], Cmd: ['c'], Env: ['A=1'], WorkingDir: '/w' };
  const settings = (own: Partial<ImageSpec>, label: ImageLabel = {}) =>
    containerSettings({ ...spec, ...own }, label, image);

  test('come from the image where nothing else is said', () => {
    expect(settings({})).toMatchObject({
      args: ['/e', 'c'],
      env: ['A=1'],
      cwd: '/w',
      readonly: false,
      uid: 0,
    });
    expect(containerSettings(spec, {}, {})).toMatchObject({ args: [], env: [], cwd: '/' });
  });

  test('an empty list replaces, an empty string does not', () => {
    const label: ImageLabel = {
      command: ['/l'],
      env: ['L=1'],
      cwd: '/l',
      net: 'new',
      hostname: 'l',
      binds: ['/a:/a'],
    };
    expect(
      settings({ command: [], env: [], cwd: '', net: '', hostname: '', binds: [] }, label),
    ).toMatchObject({
      args: [],
      env: [],
      cwd: '/l',
      net: 'new',
      hostname: 'l',
      binds: [],
    });
  });

  test.each<[Partial<ImageSpec>, readonly string[]]>([
    [{}, ['CAP_CHOWN']],
    [{ 'capabilities.add': ['CAP_KILL', 'CAP_CHOWN'] }, ['CAP_CHOWN', 'CAP_KILL', 'CAP_CHOWN']],
    [{ capabilities: ['CAP_FOWNER'] }, ['CAP_FOWNER']],
    [{ capabilities: ['CAP_FOWNER'], 'capabilities.add': ['CAP_KILL'] }, ['CAP_FOWNER']],
    [{ capabilities: [] }, []],
  ])('capabilities of %j over a label with CAP_CHOWN', (own, capabilities) => {
    expect(settings(own, { capabilities: ['CAP_CHOWN'] }).capabilities).toEqual(capabilities);
  });

  test('binds.add adds to the label alone', () => {
    const label = { binds: ['/a:/a'] };
    expect(settings({ 'binds.add': ['/b:/b'] }, label).binds).toEqual(['/a:/a', '/b:/b']);
    expect(settings({ binds: ['/c:/c'], 'binds.add': ['/b:/b'] }, label).binds).toEqual(['/c:/c']);
  });

  test('the runtime is merged key by key', () => {
    const own = { runtime: { mkdir: ['/o'], bindNS: { net: '/o' } } };
    const label = {
      runtime: { mkdir: ['/l'], cgroups: ['l'], namespace: 'n', bindNS: { net: '/l', pid: '/p' } },
    };
    expect(settings(own, label).runtime).toEqual({
      cgroups: ['l'],
      mounts: [],
      mkdir: ['/o'],
      interfaces: [],
      bindNS: { cgroup: '', ipc: '', mnt: '', net: '/o', pid: '/p', user: '', uts: '' },
      namespace: 'n',
    });
  });

  test('false in the configuration beats true in the label', () => {
    const label = { readonly: true, noNewPrivileges: true };
    expect(settings({ readonly: false }, label)).toMatchObject({ readonly: false, noNewPrivileges: true });
  });

  test("the key of 2017 is resources.memory's, unless that is given", () => {
    expect(settings({ disableOOMKiller: true }).resources).toEqual({ memory: { disableOOMKiller: true } });
    const resources = { memory: { limit: 1, disableOOMKiller: false } };
    expect(settings({ disableOOMKiller: true, resources }).resources).toEqual(resources);
  });
});
