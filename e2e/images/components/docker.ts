import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { type Component, linuxkitDefaults } from '../component.ts';
import { directory, file, program, symlink } from '../entry.ts';
import type { Workshop } from '../workshop.ts';
import { busyboxRoot } from './busybox.ts';

/** Packages whose programs go into the image, in the order in which their libraries are looked for. */
const PACKAGES = [
  'docker.io',
  'containerd',
  'runc',
  'iptables',
  'libc6',
  'libseccomp2',
  'libsystemd0',
  'libdevmapper1.02.1',
  'libxtables12',
  'libip4tc2',
  'libip6tc2',
  'libmnl0',
  'libnftnl11',
  'libcap2',
  'libgcrypt20',
  'libgpg-error0',
  'liblzma5',
  'liblz4-1',
  'libzstd1',
  'libudev1',
  'libselinux1',
  'libpcre2-8-0',
];

/** Package and path of each program. */
const PROGRAMS = [
  ['docker.io', 'usr/sbin/dockerd'],
  ['docker.io', 'usr/sbin/docker-proxy'],
  ['docker.io', 'usr/bin/docker'],
  ['containerd', 'usr/bin/containerd'],
  ['containerd', 'usr/bin/containerd-shim-runc-v2'],
  ['runc', 'usr/sbin/runc'],
  ['iptables', 'usr/sbin/xtables-nft-multi'],
] as const;

/** The names under which the one program of iptables is called. */
const IPTABLES = [
  'iptables',
  'iptables-save',
  'iptables-restore',
  'ip6tables',
  'ip6tables-save',
  'ip6tables-restore',
];

/** It would bring two more libraries, for matches on labels that dockerd has no rules for. */
const UNUSED = 'libxt_connlabel.so';
const EXTENSIONS = 'usr/lib/x86_64-linux-gnu/xtables';

/** dockerd reports it as the operating system. */
const OS_RELEASE = 'ID=linuxkit\nNAME=LinuxKit\nPRETTY_NAME="LinuxKit, of Debian packages"\nVERSION_ID=12\n';

/** dockerd with all that it runs, as a service: every capability, the machine's network. */
export const docker: Component = {
  repository: 'linuxkit/docker',
  tag: '20.10',
  recipe: import.meta.url,
  packages: [...PACKAGES, 'busybox-static', 'tini'],
  guest: ['docker'],
  async make(workshop) {
    const programs = await Promise.all(
      PROGRAMS.map(async ([name, path]) => ({ path, disk: join(await workshop.package(name), path) })),
    );
    const extensions = await iptablesExtensions(workshop);
    const binaries = [...programs, ...extensions].map(({ disk }) => disk);
    return {
      layers: [
        { entries: await busyboxRoot(workshop) },
        { entries: await workshop.libraries(binaries, PACKAGES) },
        {
          entries: [
            ...programs.map(({ path, disk }) => program(path, { disk })),
            ...extensions.map(({ path, disk }) => file(path, { disk })),
            ...IPTABLES.map((name) => symlink(`usr/sbin/${name}`, 'xtables-nft-multi')),
            program('usr/sbin/docker-init', {
              disk: join(await workshop.package('tini'), 'usr/bin/tini-static'),
            }),
            program('usr/bin/start-docker', { disk: workshop.guest('docker/start') }),
            file('etc/group', 'root:x:0:\ndocker:x:999:\nnogroup:x:65534:\n'),
            file('etc/os-release', OS_RELEASE),
            symlink('usr/lib/os-release', '../../etc/os-release'),
            ...['etc/docker', 'lib/modules', 'opt', 'var/lib/docker'].map((path) => directory(path)),
          ],
        },
      ],
      config: {
        Entrypoint: ['/usr/bin/start-docker'],
        Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
        Labels: linuxkitDefaults({
          capabilities: ['all'],
          net: 'host',
          mounts: [{ type: 'cgroup', options: ['rw', 'nosuid', 'noexec', 'nodev', 'relatime'] }],
          devices: [{ path: 'all', type: 'a' }],
          binds: [
            '/var/lib/docker:/var/lib/docker',
            '/lib/modules:/lib/modules',
            '/etc/resolv.conf:/etc/resolv.conf',
          ],
          runtime: { mkdir: ['/var/lib/docker'] },
        }),
      },
    };
  },
};

async function iptablesExtensions(workshop: Workshop): Promise<readonly { path: string; disk: string }[]> {
  const folder = join(await workshop.package('iptables'), EXTENSIONS);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.so') && name !== UNUSED).sort();
  return names.map((name) => ({ path: `${EXTENSIONS}/${name}`, disk: join(folder, name) }));
}
