import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatProblem, LinuxKitConfigError } from './errors.ts';
import { type ParseOptions, parseLinuxKit, parseLinuxKitFiles, parseLinuxKitObject } from './parse.ts';

const LENIENT: ParseOptions = { allowSource: true };

function problemsOf(parse: () => unknown): readonly string[] {
  try {
    parse();
  } catch (error) {
    if (error instanceof LinuxKitConfigError) return error.problems.map(formatProblem);
    throw error;
  }
  return [];
}

function textProblems(text: string, options: ParseOptions = LENIENT): readonly string[] {
  return problemsOf(() => parseLinuxKit(text, { ...options, source: 'image.yml' }));
}

const TODAY = `
kernel:
  image: linuxkit/kernel:6.6.71
  cmdline: "console=ttyS0"
  ucode: ""
init:
  - linuxkit/init:8eea386739975a43af558eec757a7dcb3a3d2e7b
  - example.org:5000/runc@sha256:${'0'.repeat(64)}
onboot:
  - name: dhcpcd
    image: linuxkit/dhcpcd:v1
    command: ["/sbin/dhcpcd", "--nobackground", "-f", "/dhcpcd.conf", "-1"]
  - &wg
    name: wg0
    image: linuxkit/ip:v1
    net: new
    binds: [/etc/wireguard:/etc/wireguard]
    runtime:
      interfaces: [{name: wg0, add: wireguard, createInRoot: true}]
      bindNS: {net: /run/netns/wg0}
  - <<: *wg
    name: wg1
services:
  - name: nginx
    image: nginx:1.27-alpine
    uid: nginx
    capabilities.add: [CAP_NET_BIND_SERVICE]
    binds.add: ["web:/usr/share/nginx:ro"]
    sysctl: {net.ipv4.ip_forward: "1"}
volumes:
  - {name: web, image: alpine, readonly: true, format: filesystem}
files:
  - path: etc/motd
    contents: "@hello"
    mode: "0644"
  - path: root/.ssh/authorized_keys
    source: ~/.ssh/id_rsa.pub
    optional: true
trust: {org: [linuxkit]}
`;

const OF_2017 = `
kernel:
  image: "linuxkit/kernel:4.9.x"
  cmdline: "console=ttyS0 console=tty0 page_poison=1"
init: [linuxkit/init:v1, linuxkit/runc:v1]
onboot:
  - name: mount
    image: "linuxkit/mount:v1"
    binds: ["/dev:/dev", "/var:/var:rshared,rbind"]
    capabilities: [CAP_SYS_ADMIN]
    rootfsPropagation: shared
    command: ["/mount.sh", "/var/lib/docker"]
services:
  - name: docker
    image: "docker:17.05.0-ce-dind"
    capabilities: [all]
    net: host
    disableOOMKiller: true
    mounts:
      - type: cgroup
        options: ["rw","nosuid","noexec","nodev","relatime"]
files:
  - path: etc/docker/daemon.json
    contents: '{"debug": true}'
trust:
  image: [linuxkit/kernel, linuxkit/binfmt]
outputs:
  - format: kernel+initrd
`;

describe('accepts', () => {
  test('a configuration of today', () => {
    const config = parseLinuxKit(TODAY, { ...LENIENT, source: 'image.yml' });
    expect(config.onboot?.map(({ name, net }) => [name, net])).toEqual([
      ['dhcpcd', undefined],
      ['wg0', 'new'],
      ['wg1', 'new'],
    ]);
    expect(config.files?.[0]?.contents).toBe('@hello');
    expect(config.kernel).toEqual({ image: 'linuxkit/kernel:6.6.71', cmdline: 'console=ttyS0', ucode: '' });
  });

  test('a configuration of 2017', () => {
    const config = parseLinuxKit(OF_2017, { ...LENIENT, source: 'docker.yml' });
    expect(config.outputs).toEqual([{ format: 'kernel+initrd' }]);
    expect(config.trust?.image).toEqual(['linuxkit/kernel', 'linuxkit/binfmt']);
    expect(config.services?.[0]?.disableOOMKiller).toBe(true);
  });

  test('an object like text', () => {
    expect(
      parseLinuxKitObject({ kernel: { image: 'a' } }, { allowSource: false, requireKernel: true }),
    ).toEqual(parseLinuxKit('kernel: {image: a}', { ...LENIENT, source: 'a.yml' }));
  });
});

describe('reports', () => {
  test('structure and meaning at once, in the order of the text', () => {
    const text = `kernel:
  image: [a]
onboot:
- name: first
  image: alpine
  capabilities: [CAP_CHOWN, CAP_FOO]
  binds: ["data:/x", "ro:/y", "/a"]
  uid: nobody
  entrypoint: /x
services:
- name: web
  image: alpine
  readonly: "yes"
  rlimits: ["nofile,1,2", "files,1,2"]
- name: web
  devices: [{path: /dev/x, type: c}]
volumes:
- {name: ro, readonly: true}
- {name: Up, format: qcow}
files:
- path: a/../b
  contents: ""
  mode: 0644
- path: c
- path: d
  contents: ""
  gid: nobody
outputs:
- format: iso-bios
`;
    expect(textProblems(text)).toEqual([
      'image.yml:2:10: kernel.image: must be a string, not a list',
      'image.yml:6:29: onboot[0].capabilities[1]: unknown capability CAP_FOO',
      'image.yml:7:11: onboot[0].binds[0]: volume data is not defined in volumes',
      'image.yml:7:22: onboot[0].binds[1]: volume ro is read-only: mount it with the option ro',
      'image.yml:7:31: onboot[0].binds[2]: must be source:destination or source:destination:options',
      'image.yml:8:8: onboot[0].uid: cannot find id "nobody": it must be a number or the name of a container',
      'image.yml:9:3: onboot[0].entrypoint: unknown field',
      'image.yml:13:13: services[0].readonly: must be true or false, not a string',
      'image.yml:14:27: services[0].rlimits[1]: unknown limit "files"',
      'image.yml:15:3: services[1].image: is required',
      'image.yml:15:9: services[1].name: duplicate service name web',
      "image.yml:16:13: services[1].devices[0]: device /dev/x needs a mode, such as '0660'",
      "image.yml:19:10: volumes[1].name: must be made of lower-case letters, digits, '_' and '-'",
      'image.yml:19:22: volumes[1].format: must be filesystem or oci',
      "image.yml:21:9: files[0].path: must not contain a '..' segment",
      "image.yml:23:9: files[0].mode: must be a quoted octal string, such as '0644'",
      'image.yml:24:3: files[1]: exactly one of directory: true, symlink, contents, source and metadata must be given',
      'image.yml:27:8: files[2].gid: cannot find id "nobody": it must be a number or the name of a container',
      'image.yml:29:11: outputs[0].format: output format iso-bios is not made here; those that are made: kernel+initrd, tar',
    ]);
  });

  test('binds that fail as a whole only once, whichever check sees them', () => {
    expect(textProblems('onboot: [{name: a, image: b, binds: ["x"]}]')).toHaveLength(1);
  });

  test.each([
    ['a: 1', 'image.yml:1:1: a: unknown field'],
    ['[a]', 'image.yml:1:1: must be a map, not a list'],
    ['services: {}', 'image.yml:1:11: services: must be a list, not a map'],
    ['services:', 'image.yml:1:9: services: must be a list, not empty'],
    ['services: [x]', 'image.yml:1:12: services[0]: must be a map, not a string'],
    ['kernel: {Image: a}', 'image.yml:1:10: kernel.Image: unknown field; did you mean image?'],
    [
      'services: [{name: a, image: b, comand: [c]}]',
      'image.yml:1:32: services[0].comand: unknown field; did you mean command?',
    ],
    ['services: [{name: a b, image: b}]', /services\[0\]\.name: must be made of letters and digits/],
    ['services: [{name: A/../b, image: b}]', /services\[0\]\.name: must be made of letters and digits/],
    ['onboot: [{name: .., image: b}]', /onboot\[0\]\.name: must be made of/],
    ['services: [{name: a, image: "@pkg:./x"}]', /services\[0\]\.image: must be an image reference/],
    [
      'services: [{name: a, image: b, sysctl: {a b: 1}}]',
      'image.yml:1:46: services[0].sysctl["a b"]: must be a string, not an integer; put it in quotes',
    ],
    ['services: [{name: a, image: b, uid: -1}]', 'image.yml:1:37: services[0].uid: must be at least 0'],
    [
      'services: [{name: a, image: b, uid: 4294967295}]',
      'image.yml:1:37: services[0].uid: must be at most 4294967294',
    ],
    [
      'services: [{name: a, image: b, uid: true}]',
      'image.yml:1:37: services[0].uid: must be a number from 0 to 4294967294, or a name',
    ],
    [
      'services: [{name: a, image: b, oomScoreAdj: 1.5}]',
      'image.yml:1:45: services[0].oomScoreAdj: must be an integer, not a number',
    ],
    [
      'services: [{name: a, image: b, capabilities: [none, CAP_CHOWN]}]',
      'image.yml:1:47: services[0].capabilities[0]: none cannot stand beside other capabilities',
    ],
    [
      'services: [{name: a, image: b, mounts: [{destination: /x}]}]',
      'image.yml:1:41: services[0].mounts[0]: mount for destination /x is missing type',
    ],
    ['volumes: [{name: a}, {name: a}]', 'image.yml:1:29: volumes[1].name: duplicate volume name a'],
    [
      'volumes: [{name: a, format: oci}]',
      'image.yml:1:11: volumes[0]: a volume of format oci needs an image',
    ],
    [
      'files: [{path: "/", contents: ""}]',
      'image.yml:1:16: files[0].path: must name something below the root directory',
    ],
    ['files: [{path: a, directory: true, contents: ""}]', /files\[0\]: exactly one of/],
    ['files: [{path: a, contents: "", mode: "0999"}]', /files\[0\]\.mode: must be a quoted octal string/],
    ['kernel: {image: a, binary: ../x}', /kernel\.binary: must be the name of a file at the root/],
    [
      'onboot: [{name: a, image: b, resources: {hugepageLimits: [{pageSize: 3MB, limit: 1}]}}]',
      /pageSize: must be one of 64KB, /,
    ],
  ])('%s', (text, problem) => {
    const [first, ...rest] = textProblems(text);
    expect(first).toEqual(problem instanceof RegExp ? expect.stringMatching(problem) : problem);
    expect(rest).toEqual([]);
  });

  test('the code, and the whole list in the message', () => {
    const parse = () => parseLinuxKit('a: 1\nb: 2', { ...LENIENT, source: 'x.yml' });
    expect(parse).toThrow(expect.objectContaining({ code: 'InvalidLinuxKitConfig' }));
    expect(parse).toThrow('x.yml:1:1: a: unknown field; x.yml:2:1: b: unknown field');
  });

  test('a great many problems as a number', () => {
    const text = Array.from({ length: 50 }, (_, index) => `k${index}: 1`).join('\n');
    expect(() => parseLinuxKit(text, { ...LENIENT, source: 'x.yml' })).toThrow(/and 30 more$/);
  });
});

describe('an operator', () => {
  const strict: ParseOptions = { allowSource: false, requireKernel: true };

  test('has no files of the machine that builds', () => {
    expect(textProblems('kernel: {image: a}\nfiles: [{path: a, source: /etc/passwd}]', strict)).toEqual([
      'image.yml:2:27: files[0].source: reads the machine that builds and is only for the command line; ' +
        'use contents, or files of the LinuxKitImage',
    ]);
  });

  test('makes what machines boot from, and names what it does not make', () => {
    const text = 'kernel: {image: a}\noutputs: [{format: kernel+initrd}, {format: tar}]';
    expect(textProblems(text, { ...strict, formats: ['kernel+initrd'] })).toEqual([
      'image.yml:2:45: outputs[1].format: output format tar is made on the command line alone; ' +
        'those that are made: kernel+initrd',
    ]);
    expect(textProblems(text, strict)).toEqual([]);
  });

  test.each([
    ['{}', ['image.yml:1:1: kernel.image: is required: without a kernel there is nothing to boot']],
    [
      'kernel: {cmdline: a}',
      ['image.yml:1:9: kernel.image: is required: without a kernel there is nothing to boot'],
    ],
    ['kernel: 5', ['image.yml:1:9: kernel: must be a map, not an integer']],
  ])('needs a kernel: %s', (text, problems) => {
    expect(textProblems(text, strict)).toEqual(problems);
  });

  test('has paths alone for an object', () => {
    const config = {
      kernel: { image: 'a' },
      services: [{ name: 'a', image: 'b', binds: ['v:/x'] }],
      extra: 1,
    };
    expect(problemsOf(() => parseLinuxKitObject(config, strict))).toEqual([
      'extra: unknown field',
      'services[0].binds[0]: volume v is not defined in volumes',
    ]);
    expect(problemsOf(() => parseLinuxKitObject(null, strict))).toEqual(['must be a map, not empty']);
  });
});

describe('several files', () => {
  const base = {
    name: 'base.yml',
    text: 'kernel: {image: k, cmdline: c, tar: t.tar}\ninit: [a]\nservices:\n- {name: one, image: x}\nvolumes:\n- {name: v}',
  };

  test('are joined, the later kernel winning where it says something', () => {
    const more = {
      name: 'more.yml',
      text: 'kernel: {image: "", cmdline: d, tar: ""}\ninit: [b]\nservices:\n- {name: two, image: x, binds: ["v:/v"], uid: one}',
    };
    expect(problemsOf(() => parseLinuxKitFiles([base, more], LENIENT))).toEqual([
      'more.yml:1:17: kernel.image: must be an image reference, such as docker.io/library/alpine:3.22',
    ]);
    const fixed = { ...more, text: more.text.replace('image: "", ', '') };
    expect(parseLinuxKitFiles([base, fixed], LENIENT)).toMatchObject({
      kernel: { image: 'k', cmdline: 'd', tar: '' },
      init: ['a', 'b'],
      services: [{ name: 'one' }, { name: 'two' }],
      volumes: [{ name: 'v' }],
    });
  });

  test('have their problems named by file, with the place there', () => {
    const more = {
      name: 'more.yml',
      text: 'services:\n- {name: two, image: x, binds: ["w:/v"]}\n- {name: one, image: x}',
    };
    const bad = { name: 'bad.yml', text: 'bogus: 1' };
    expect(problemsOf(() => parseLinuxKitFiles([base, more, bad], LENIENT))).toEqual([
      'more.yml:2:33: services[0].binds[0]: volume w is not defined in volumes',
      'more.yml:3:10: services[1].name: duplicate service name one',
      'bad.yml:1:1: bogus: unknown field',
    ]);
  });

  test('are all read before anything is said of their structure', () => {
    const broken = [
      { name: 'a.yml', text: '[' },
      { name: 'b.yml', text: '' },
      { name: 'c.yml', text: 'bogus: 1' },
    ];
    expect(
      problemsOf(() => parseLinuxKitFiles(broken, LENIENT)).map((problem) => problem.slice(0, 5)),
    ).toEqual(['a.yml', 'b.yml']);
  });
});

test('no object makes it throw anything else', () => {
  const key = fc.constantFrom(
    'kernel',
    'image',
    'name',
    'services',
    'onboot',
    'files',
    'path',
    'binds',
    'mounts',
    'runtime',
    'resources',
    'uid',
    'x',
    'volumes',
    'contents',
    'metadata',
    'rlimits',
    'devices',
    '__proto__',
    'constructor',
  );
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 5 },
      fc.string(),
      fc.integer(),
      fc.constantFrom(null, true, 'a', 'v:/x', 'nofile,1,2', 'all', '../x'),
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(key, tie('node'), { maxKeys: 5 }),
    ),
  })).node;
  fc.assert(
    fc.property(value, (object) => {
      problemsOf(() => parseLinuxKitObject(object, { allowSource: false }));
    }),
    { numRuns: 2000 },
  );
});
