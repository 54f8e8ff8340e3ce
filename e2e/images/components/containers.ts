import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { type Component, linuxkitDefaults } from '../component.ts';
import { directory, type Entry, file, program } from '../entry.ts';
import { busyboxRoot } from './busybox.ts';

interface Script {
  readonly name: string;
  readonly tag?: string;
  readonly command: readonly string[];
  readonly environment?: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
  /** Path in the image to path below `guest/`. */
  readonly files: Readonly<Record<string, string>>;
  readonly more?: readonly Entry[];
}

/** A container image of busybox and a few scripts of ours. */
function scripted(script: Script): Component {
  return {
    repository: `linuxkit/${script.name}`,
    tag: script.tag ?? '1',
    recipe: import.meta.url,
    packages: ['busybox-static'],
    guest: Object.values(script.files),
    async make(workshop) {
      const own = Object.entries(script.files).map(([path, source]) =>
        program(path, { disk: workshop.guest(source) }),
      );
      return {
        layers: [
          { entries: await busyboxRoot(workshop) },
          { entries: [...own, ...(script.more ?? [])] },
        ].filter((layer) => layer.entries.length > 0),
        config: {
          Cmd: script.command,
          Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...(script.environment ?? [])],
          Labels: linuxkitDefaults(script.settings),
        },
      };
    },
  };
}

export const busybox = scripted({
  name: 'busybox',
  tag: '1.35',
  command: ['/bin/sh'],
  settings: {},
  files: {},
});

/** Prints one line: `GREETING: Linux RELEASE, process N of HOST`. */
export const hello = scripted({
  name: 'hello',
  command: ['/bin/hello'],
  settings: {},
  files: { 'bin/hello': 'hello/hello' },
});

/** Serves a page on port 80 (`PORT`), after one line: `httpd: serving on port 80: GREETING`. */
export const httpd = scripted({
  name: 'httpd',
  command: ['/bin/start'],
  settings: {
    net: 'host',
    capabilities: ['CAP_NET_BIND_SERVICE'],
  },
  files: { 'bin/start': 'httpd/start' },
  more: [directory('var/www'), file('var/www/index.html', 'hello\n')],
});

/** DHCP on every interface; with `-1` once. */
export const dhcpcd = scripted({
  name: 'dhcpcd',
  command: ['/sbin/dhcpcd'],
  settings: {
    net: 'host',
    binds: ['/run:/run'],
    capabilities: ['CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE', 'CAP_NET_RAW'],
  },
  files: { 'sbin/dhcpcd': 'dhcpcd/dhcpcd', 'etc/dhcpcd.script': 'dhcpcd/dhcpcd.script' },
});

/** Kernel parameters from /etc/sysctl.d. */
export const sysctl = scripted({
  name: 'sysctl',
  command: ['/bin/sysctl-all'],
  settings: {
    net: 'host',
    pid: 'host',
    ipc: 'host',
    capabilities: ['CAP_SYS_ADMIN', 'CAP_NET_ADMIN'],
    mounts: [{ type: 'proc', destination: '/proc', source: 'proc', options: ['rw'] }],
    readonly: true,
  },
  files: { 'bin/sysctl-all': 'sysctl/sysctl', 'etc/sysctl.d/00-linuxkit.conf': 'sysctl/00-linuxkit.conf' },
});

/** Mounts a labelled file system, for the containers after it to see. */
export const mount = scripted({
  name: 'mount',
  command: ['/mount.sh'],
  settings: {
    binds: ['/dev:/dev', '/var:/var:rshared,rbind', '/lib/modules:/lib/modules'],
    capabilities: ['CAP_SYS_ADMIN', 'CAP_MKNOD', 'CAP_DAC_READ_SEARCH'],
    devices: [{ path: 'all', type: 'b' }],
    rootfsPropagation: 'shared',
  },
  files: { 'mount.sh': 'mount/mount.sh' },
  more: [directory('lib/modules')],
});

/** Watches the power button and shuts the machine down in order. */
export const acpid = scripted({
  name: 'acpid',
  command: ['/sbin/acpid', '-f', '-l', '/dev/null'],
  settings: {
    pid: 'host',
    binds: ['/dev:/dev'],
    capabilities: ['CAP_KILL', 'CAP_SYS_BOOT', 'CAP_DAC_OVERRIDE'],
    devices: [{ path: 'all', type: 'a' }],
    readonly: true,
  },
  files: { 'etc/acpi/PWRF/00000080': 'acpid/power' },
});

const FORMAT_PACKAGES = ['e2fsprogs', 'libext2fs2', 'libcom-err2', 'libblkid1', 'libuuid1', 'libc6'];

/** Makes a file system on the first disk that holds nothing. */
export const format: Component = {
  repository: 'linuxkit/format',
  tag: '1',
  recipe: import.meta.url,
  packages: ['busybox-static', ...FORMAT_PACKAGES],
  guest: ['format'],
  async make(workshop) {
    const maker = join(await workshop.package('e2fsprogs'), 'sbin/mke2fs');
    return {
      layers: [
        { entries: await busyboxRoot(workshop) },
        {
          entries: [
            ...(await workshop.libraries([maker], FORMAT_PACKAGES)),
            program('usr/bin/format', { disk: workshop.guest('format/format') }),
            program('usr/sbin/mkfs.ext4', { disk: maker }),
            file('etc/mke2fs.conf', { disk: join(await workshop.package('e2fsprogs'), 'etc/mke2fs.conf') }),
          ],
        },
      ],
      config: {
        Cmd: ['/usr/bin/format'],
        Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
        Labels: linuxkitDefaults({
          binds: ['/dev:/dev'],
          capabilities: ['CAP_SYS_ADMIN', 'CAP_MKNOD'],
          devices: [{ path: 'all', type: 'b' }],
        }),
      },
    };
  },
};

/** The certificate authorities that Debian trusts, for the init section. */
export const caCertificates: Component = {
  repository: 'linuxkit/ca-certificates',
  tag: '1',
  recipe: import.meta.url,
  packages: ['ca-certificates'],
  async make(workshop) {
    const folder = join(await workshop.package('ca-certificates'), 'usr/share/ca-certificates/mozilla');
    const names = (await readdir(folder)).filter((name) => name.endsWith('.crt')).sort();
    const certificates: string[] = [];
    for (const name of names) certificates.push((await readFile(join(folder, name), 'utf8')).trimEnd());
    return {
      layers: [{ entries: [file('etc/ssl/certs/ca-certificates.crt', `${certificates.join('\n')}\n`)] }],
    };
  },
};
