import { expect, test } from 'vitest';
import { metadataText } from './metadata.ts';
import { parseLinuxKit, parseLinuxKitObject } from './parse.ts';

function config(value: unknown) {
  return parseLinuxKitObject(value, { allowSource: false });
}

const BASIC = {
  kernel: { image: 'linuxkit/kernel:6', cmdline: 'console=ttyS0', tar: 'none' },
  init: ['linuxkit/init:v1', 'alpine'],
  onboot: [
    { name: 'a', image: 'linuxkit/sysctl:v1', command: [], readonly: false, 'binds.add': ['v:/v:ro'] },
  ],
  files: [
    { path: '/etc/x', contents: 'a\nb\n', mode: '0644', uid: 'a' },
    { path: 'etc/y', symlink: 'x' },
  ],
  volumes: [{ name: 'v', image: 'alpine', readonly: true }],
  trust: { org: ['linuxkit'] },
};

test('YAML', () => {
  expect(metadataText(config(BASIC), 'yaml')).toBe(`kernel:
  image: docker.io/linuxkit/kernel:6
  cmdline: console=ttyS0
  tar: none
init:
- docker.io/linuxkit/init:v1
- docker.io/library/alpine
onboot:
- name: a
  image: docker.io/linuxkit/sysctl:v1
  binds.add:
  - v:/v:ro
  command: []
  readonly: false
onshutdown: []
services: []
files:
- path: /etc/x
  directory: false
  contents: |
    a
    b
  optional: false
  mode: "0644"
  uid: a
- path: etc/y
  directory: false
  symlink: x
  optional: false
volumes:
- name: v
  image: alpine
  readonly: true
`);
});

test('JSON', () => {
  expect(JSON.parse(metadataText(config(BASIC), 'json'))).toEqual({
    kernel: { image: 'docker.io/linuxkit/kernel:6', cmdline: 'console=ttyS0', tar: 'none' },
    init: ['docker.io/linuxkit/init:v1', 'docker.io/library/alpine'],
    onboot: [
      {
        name: 'a',
        image: 'docker.io/linuxkit/sysctl:v1',
        'binds.add': ['v:/v:ro'],
        command: [],
        readonly: false,
      },
    ],
    onshutdown: null,
    services: null,
    files: [
      { path: '/etc/x', directory: false, contents: 'a\nb\n', optional: false, mode: '0644', uid: 'a' },
      { path: 'etc/y', directory: false, symlink: 'x', optional: false },
    ],
    volumes: [{ name: 'v', image: 'alpine', readonly: true }],
  });
});

test('of nothing', () => {
  expect(metadataText({}, 'yaml')).toBe(
    'kernel:\n  image: ""\ninit: []\nonboot: []\nonshutdown: []\nservices: []\nfiles: []\nvolumes: []\n',
  );
  expect(metadataText({}, 'json')).toBe(
    '{\n    "kernel": {\n        "image": ""\n    },\n    "init": null,\n    "onboot": null,\n' +
      '    "onshutdown": null,\n    "services": null,\n    "files": null,\n    "volumes": null\n}',
  );
});

const STRUCTURES = {
  services: [
    {
      name: 'a',
      image: 'x',
      mounts: [{ type: 'proc', uidmappings: [{ hostID: 1, containerID: 2, size: 3 }] }],
      uidMappings: [{ hostID: 1, size: 3 }],
      resources: { memory: { kernelTCP: 5 } },
      runtime: { mkdir: ['/m'], interfaces: [{ name: 'i' }] },
    },
  ],
};

test('structures of the runtime-spec in YAML are in lower case, and whole', () => {
  expect(metadataText(config(STRUCTURES), 'yaml')).toContain(`  mounts:
  - destination: ""
    type: proc
    source: ""
    options: []
    uidmappings:
    - containerid: 2
      hostid: 1
      size: 3
    gidmappings: []
  resources:
    devices: []
    memory:
      limit: null
      reservation: null
      swap: null
      kernel: null
      kerneltcp: 5
      swappiness: null
      disableoomkiller: null
      usehierarchy: null
      checkbeforeupdate: null
    cpu: null
    pids: null
    blockio: null
    hugepagelimits: []
    network: null
    rdma: {}
    unified: {}
  uidMappings:
  - containerid: 0
    hostid: 1
    size: 3
  runtime:
    mkdir:
    - /m
    interfaces:
    - name: i
      createInRoot: false
`);
});

test('structures of the runtime-spec in JSON have its names', () => {
  expect(JSON.parse(metadataText(config(STRUCTURES), 'json')).services).toEqual([
    {
      name: 'a',
      image: 'docker.io/library/x',
      mounts: [{ destination: '', type: 'proc', uidMappings: [{ containerID: 2, hostID: 1, size: 3 }] }],
      uidMappings: [{ containerID: 0, hostID: 1, size: 3 }],
      resources: { memory: { kernelTCP: 5 } },
      runtime: { mkdir: ['/m'], interfaces: [{ name: 'i', createInRoot: false }], bindNS: {} },
    },
  ]);
});

test('what has no such structures is a configuration again, of the same meaning', () => {
  const again = parseLinuxKit(metadataText(config(BASIC), 'yaml'), {
    source: 'metadata',
    allowSource: false,
  });
  expect(metadataText(again, 'yaml')).toBe(metadataText(config(BASIC), 'yaml'));
});
