import { describe, expect, test } from 'vitest';
import { planBundles } from './bundle.ts';
import { LinuxKitConfigError } from './errors.ts';
import { parseLinuxKitObject } from './parse.ts';
import { planImage } from './plan.ts';
import type { ContainerDefaults } from './settings.ts';

function bundles(config: unknown, image: ContainerDefaults = {}) {
  const checked = parseLinuxKitObject(config, { allowSource: false });
  return planBundles(checked, planImage(checked).containers, () => image);
}

function label(value: unknown): ContainerDefaults {
  return { Labels: { 'org.mobyproject.config': typeof value === 'string' ? value : JSON.stringify(value) } };
}

/** Paths of a bundle's entries below its own folder, with the folders above it left out. */
function listed(plan: ReturnType<typeof bundles>[number] | undefined): readonly string[] {
  const own = `${plan?.step.path}/`;
  return (plan?.entries ?? []).flatMap(({ path, type }) =>
    path.startsWith(own) ? [`${type} ${path.slice(own.length)}`] : [],
  );
}

function contents(plan: ReturnType<typeof bundles>[number] | undefined, name: string): string {
  const entry = plan?.entries.find(({ path }) => path.endsWith(`/${name}`));
  return entry?.type === 'file' ? entry.contents : '';
}

describe('layout', () => {
  test('of a writable container', () => {
    const [plan] = bundles({ onboot: [{ name: 'a', image: 'x' }] });
    expect(plan).toMatchObject({
      readonly: false,
      extractTo: 'containers/onboot/000-a/lower',
      root: 'containers/onboot/000-a/lower',
    });
    expect(plan?.entries.slice(0, 3).map(({ path }) => path)).toEqual([
      'containers',
      'containers/onboot',
      'containers/onboot/000-a',
    ]);
    expect(listed(plan)).toEqual([
      'directory lower',
      'file config.json',
      'directory tmp',
      'directory rootfs',
      'file runtime.json',
    ]);
  });

  test('of a read-only container', () => {
    const [plan] = bundles({ services: [{ name: 'a', image: 'x', readonly: true }] });
    expect(plan).toMatchObject({
      readonly: true,
      extractTo: 'containers/services/a/rootfs',
      root: 'containers/services/a/rootfs',
    });
    expect(listed(plan)).toEqual(['directory rootfs', 'file config.json', 'file runtime.json']);
    expect(JSON.parse(contents(plan, 'runtime.json')).mounts).toEqual([
      {
        destination: '/containers/services/a/rootfs',
        source: '/containers/services/a/rootfs',
        options: ['bind'],
      },
    ]);
  });

  test('containers of one reference share the files of the first, however they use them', () => {
    const plans = bundles({
      onboot: [{ name: 'a', image: 'x' }],
      onshutdown: [{ name: 'b', image: 'docker.io/library/x', readonly: true }],
      services: [
        { name: 'c', image: 'library/x' },
        { name: 'd', image: 'x:latest' },
      ],
    });
    expect(plans.map(({ extractTo, root }) => [extractTo, root])).toEqual([
      ['containers/onboot/000-a/lower', 'containers/onboot/000-a/lower'],
      [undefined, 'containers/onboot/000-a/lower'],
      [undefined, 'containers/onboot/000-a/lower'],
      ['containers/services/d/lower', 'containers/services/d/lower'],
    ]);
    expect(listed(plans[1])).toEqual(['file config.json', 'directory rootfs', 'file runtime.json']);
    expect(JSON.parse(contents(plans[1], 'runtime.json')).mounts).toEqual([
      {
        destination: '/containers/onshutdown/000-b/rootfs',
        source: '/containers/onboot/000-a/lower',
        options: ['bind'],
      },
    ]);
    expect(JSON.parse(contents(plans[2], 'runtime.json')).mounts).toContainEqual({
      destination: '/containers/services/c/rootfs',
      type: 'overlay',
      source: 'overlay',
      options: [
        'lowerdir=/containers/onboot/000-a/lower',
        'upperdir=/containers/services/c/tmp/upper',
        'workdir=/containers/services/c/tmp/work',
      ],
    });
  });

  test('a writable user of a read-only first one overlays its rootfs', () => {
    const plans = bundles({
      onboot: [{ name: 'a', image: 'x', readonly: true }],
      services: [{ name: 'b', image: 'x' }],
    });
    expect(plans[1]?.root).toBe('containers/onboot/000-a/rootfs');
    expect(listed(plans[1])).toEqual([
      'file config.json',
      'directory tmp',
      'directory rootfs',
      'file runtime.json',
    ]);
  });
});

test('config.json of a container that says nothing', () => {
  const [plan] = bundles({ services: [{ name: 'a', image: 'x' }] }, { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] });
  expect(contents(plan, 'config.json')).toBe(`{
    "ociVersion": "1.2.1",
    "process": {
        "user": {
            "uid": 0,
            "gid": 0
        },
        "args": [
            "/bin/sh"
        ],
        "env": [
            "PATH=/bin"
        ],
        "cwd": "/",
        "capabilities": {}
    },
    "root": {
        "path": "rootfs"
    },
    "mounts": [
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": [
                "nosuid",
                "strictatime",
                "mode=755",
                "size=65536k"
            ]
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": [
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620"
            ]
        },
        {
            "destination": "/proc",
            "type": "proc",
            "source": "proc",
            "options": [
                "nosuid",
                "nodev",
                "noexec",
                "relatime"
            ]
        },
        {
            "destination": "/sys",
            "type": "sysfs",
            "source": "sysfs",
            "options": [
                "nosuid",
                "noexec",
                "nodev"
            ]
        },
        {
            "destination": "/sys/fs/cgroup",
            "type": "cgroup",
            "source": "cgroup",
            "options": [
                "nosuid",
                "noexec",
                "nodev",
                "relatime",
                "ro"
            ]
        }
    ],
    "linux": {
        "resources": {},
        "namespaces": [
            {
                "type": "pid"
            },
            {
                "type": "mount"
            }
        ]
    }
}`);
});

test('config.json of a container that says everything, key by key', () => {
  const [plan] = bundles({
    services: [
      {
        name: 'a',
        image: 'x',
        capabilities: ['CAP_SYS_ADMIN', 'CAP_CHOWN'],
        ambient: ['CAP_NET_RAW'],
        mounts: [{ type: 'bind', source: 'v', destination: '/v' }],
        binds: ['/a<b>:/b&c'],
        tmpfs: ['/t'],
        command: ['/c', '<&>'],
        env: ['E=1'],
        cwd: '/w',
        net: 'new',
        pid: 'host',
        ipc: 'new',
        uts: 'new',
        userns: 'new',
        hostname: 'h',
        readonly: true,
        maskedPaths: ['/m'],
        readonlyPaths: ['/r'],
        uid: 'a',
        gid: 7,
        additionalGids: ['a', 8],
        noNewPrivileges: true,
        oomScoreAdj: 0,
        rootfsPropagation: 'shared',
        cgroupsPath: '/g',
        resources: { devices: [{ allow: false, access: 'rwm' }], pids: { limit: 5 } },
        sysctl: { b: '2', a: '1' },
        rlimits: ['nofile,1,unlimited'],
        uidMappings: [{ hostID: 1000, containerID: 0, size: 10 }],
        gidMappings: [{ hostID: 2000, size: 20 }],
        annotations: { z: '1', y: '2' },
        devices: [
          { path: 'all', type: 'b' },
          { path: '/dev/console', type: 'c', major: 5, minor: 1, mode: '0620' },
        ],
      },
    ],
    volumes: [{ name: 'v' }],
  });
  const text = contents(plan, 'config.json');
  expect(text).toContain('\\u003c\\u0026\\u003e');
  expect(text).toContain('"hard": 18446744073709551615');
  const config = JSON.parse(text);
  expect(Object.keys(config)).toEqual([
    'ociVersion',
    'process',
    'root',
    'hostname',
    'mounts',
    'annotations',
    'linux',
  ]);
  expect(config.root).toEqual({ path: 'rootfs', readonly: true });
  expect(Object.keys(config.process)).toEqual([
    'user',
    'args',
    'env',
    'cwd',
    'capabilities',
    'rlimits',
    'noNewPrivileges',
    'oomScoreAdj',
  ]);
  expect(config.process.user).toEqual({ uid: 100, gid: 7, additionalGids: [100, 8] });
  expect(config.process.capabilities).toEqual({
    bounding: ['CAP_CHOWN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN'],
    effective: ['CAP_SYS_ADMIN', 'CAP_CHOWN'],
    inheritable: ['CAP_CHOWN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN'],
    permitted: ['CAP_CHOWN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN'],
    ambient: ['CAP_NET_RAW'],
  });
  expect(Object.keys(config.process.rlimits[0])).toEqual(['type', 'hard', 'soft']);
  expect(config.mounts.map((mount: { destination: string }) => mount.destination)).toEqual([
    '/b&c',
    '/dev',
    '/dev/pts',
    '/proc',
    '/sys',
    '/sys/fs/cgroup',
    '/t',
    '/v',
  ]);
  expect(config.mounts.at(-2)).toEqual({ destination: '/t', type: 'tmpfs', source: 'tmpfs' });
  expect(config.mounts.at(-1)).toEqual({
    destination: '/v',
    type: 'bind',
    source: '/containers/volumes/v/merged',
    options: ['rbind'],
  });
  expect(Object.keys(config.annotations)).toEqual(['y', 'z']);
  expect(Object.keys(config.linux)).toEqual([
    'uidMappings',
    'gidMappings',
    'sysctl',
    'resources',
    'cgroupsPath',
    'namespaces',
    'devices',
    'rootfsPropagation',
    'maskedPaths',
    'readonlyPaths',
  ]);
  expect(JSON.stringify(config.linux.uidMappings)).toBe('[{"containerID":0,"hostID":1000,"size":10}]');
  expect(JSON.stringify(config.linux.gidMappings)).toBe('[{"containerID":0,"hostID":2000,"size":20}]');
  expect(config.linux.resources).toEqual({
    devices: [
      { allow: false, access: 'rwm' },
      { allow: true, type: 'b', access: 'rwm' },
      { allow: true, type: 'c', major: 5, minor: 1, access: 'rwm' },
    ],
    pids: { limit: 5 },
  });
  expect(config.linux.devices).toEqual([
    { path: '/dev/console', type: 'c', major: 5, minor: 1, fileMode: 400 },
  ]);
  expect(config.linux.namespaces.map((entry: { type: string }) => entry.type)).toEqual([
    'network',
    'ipc',
    'uts',
    'user',
    'mount',
  ]);
});

test('runtime.json has every key', () => {
  const [plan] = bundles({
    services: [
      {
        name: 'a',
        image: 'x',
        runtime: {
          mounts: [{ type: 'tmpfs', destination: '/m', options: [] }],
          interfaces: [
            { name: 'wg0', add: 'wireguard' },
            { name: 'eth0', createInRoot: true },
          ],
          bindNS: { net: '/run/netns/a' },
        },
      },
    ],
  });
  expect(contents(plan, 'runtime.json')).toBe(`{
    "cgroups": [],
    "mounts": [
        {
            "destination": "/containers/services/a/tmp",
            "type": "tmpfs",
            "source": "tmpfs"
        },
        {
            "destination": "/containers/services/a/tmp",
            "options": [
                "remount",
                "private"
            ]
        },
        {
            "destination": "/containers/services/a/rootfs",
            "type": "overlay",
            "source": "overlay",
            "options": [
                "lowerdir=/containers/services/a/lower",
                "upperdir=/containers/services/a/tmp/upper",
                "workdir=/containers/services/a/tmp/work"
            ]
        },
        {
            "destination": "/m",
            "type": "tmpfs"
        }
    ],
    "mkdir": [],
    "interfaces": [
        {
            "name": "wg0",
            "add": "wireguard",
            "createInRoot": false
        },
        {
            "name": "eth0",
            "createInRoot": true
        }
    ],
    "bindNS": {
        "cgroup": "",
        "ipc": "",
        "mnt": "",
        "net": "/run/netns/a",
        "pid": "",
        "user": "",
        "uts": ""
    },
    "namespace": ""
}`);
});

describe('labels', () => {
  const services = [{ name: 'a', image: 'x' }];

  test.each([[{ readonly: true, command: ['/l'] }], ['readonly: true\ncommand: [/l]']])(
    '%j is read',
    (value) => {
      const [plan] = bundles({ services }, label(value));
      expect(plan?.readonly).toBe(true);
      expect(JSON.parse(contents(plan, 'config.json')).process.args).toEqual(['/l']);
    },
  );

  test.each([
    ['{', /not valid YAML/],
    ['[1]', /must be a map, not a list/],
    [{ name: 'x' }, /name: unknown field/],
    [{ image: 'x' }, /image: unknown field/],
    [{ bogus: 1 }, /bogus: unknown field/],
    [{ capabilities: ['CAP_FOO'] }, /capabilities\[0\]: unknown capability CAP_FOO/],
    [{ rlimits: ['bad,1,2'] }, /rlimits\[0\]: unknown limit "bad"/],
    [{ binds: ['v:/v'] }, /binds\[0\]: volume v is not defined/],
    [{ uid: 'nobody' }, /uid: cannot find id "nobody"/],
    [{ devices: [{ path: '/dev/x' }] }, /devices\[0\]: device \/dev\/x needs a mode/],
  ])('%j is refused, with the container and the image', (value, message) => {
    const plan = () => bundles({ services }, label(value));
    expect(plan).toThrow(LinuxKitConfigError);
    expect(plan).toThrow(/^services\[0\]\.image: x /);
    expect(plan).toThrow(message);
  });

  test('of all containers are reported at once', () => {
    const onboot = [{ name: 'b', image: 'y' }];
    expect(() => bundles({ onboot, services }, label({ bogus: 1 }))).toThrow(
      /onboot\[0\]\.image: y .*; services\[0\]\.image: x /,
    );
  });

  test('an empty one says nothing', () => {
    expect(bundles({ services }, label(''))).toHaveLength(1);
  });
});
