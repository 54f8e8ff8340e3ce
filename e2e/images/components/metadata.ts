import { type Component, linuxkitDefaults } from '../component.ts';
import { directory, program } from '../entry.ts';

/** Reads the machine's data from a CD-ROM into /run/config, as LinuxKit's package of this name does. */
export const metadata: Component = {
  repository: 'linuxkit/metadata',
  tag: '1',
  recipe: import.meta.url,
  packages: [],
  guest: ['go.mod', 'metadata'],
  async make(workshop) {
    return {
      layers: [
        {
          entries: [
            ...['dev', 'etc', 'proc', 'run', 'sys', 'tmp'].map((path) => directory(path)),
            program('usr/bin/metadata', { disk: await workshop.goProgram('metadata') }),
          ],
        },
      ],
      config: {
        Cmd: ['/usr/bin/metadata', 'cdrom'],
        Labels: linuxkitDefaults({
          net: 'host',
          uts: 'host',
          binds: ['/dev:/dev', '/run:/run'],
          capabilities: ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE'],
          devices: [{ path: 'all', type: 'b' }],
        }),
      },
    };
  },
};
