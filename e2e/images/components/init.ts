import type { Component } from '../component.ts';
import { entriesOfFolder } from '../disk-tree.ts';
import { directory, file, program, symlink } from '../entry.ts';
import { busyboxPrograms } from './busybox.ts';

/** Folders that the machine mounts things on, or that programs expect. */
const FOLDERS = [
  'containers',
  'dev',
  'etc/init.d',
  'etc/shutdown.d',
  'mnt',
  'opt',
  'proc',
  'root',
  'run',
  'sys',
  'tmp',
  'var',
];

/** busybox and the start-up and shutdown of the machine (LinuxKit's runtime contract). */
export const init: Component = {
  repository: 'linuxkit/init',
  tag: '1',
  recipe: import.meta.url,
  packages: ['busybox-static'],
  guest: ['go.mod', 'service', 'init'],
  async make(workshop) {
    return {
      layers: [
        {
          entries: [
            ...FOLDERS.map((path) => directory(path)),
            ...(await busyboxPrograms(workshop)),
            file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
            file('etc/group', 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n'),
          ],
        },
        {
          entries: [
            ...(await entriesOfFolder(workshop.guest('init'), '')),
            program('usr/bin/service', { disk: await workshop.goProgram('service') }),
            symlink('init', 'usr/bin/service'),
            symlink('etc/init.d/005-volumes', '/usr/bin/service'),
          ],
        },
      ],
    };
  },
};
