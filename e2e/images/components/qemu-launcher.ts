import { join } from 'node:path';

import type { Component } from '../component.ts';
import { file, program } from '../entry.ts';
import type { Workshop } from '../workshop.ts';
import { busyboxRoot } from './busybox.ts';

/** Firmware that an x86 machine without a disk of its own may load. */
const FIRMWARE: Readonly<Record<string, readonly string[]>> = {
  seabios: [
    'usr/share/seabios/bios-256k.bin',
    'usr/share/seabios/vgabios-stdvga.bin',
    'usr/share/seabios/vgabios-virtio.bin',
  ],
  'qemu-system-data': [
    'usr/share/qemu/linuxboot.bin',
    'usr/share/qemu/linuxboot_dma.bin',
    'usr/share/qemu/kvmvapic.bin',
    'usr/share/qemu/multiboot.bin',
    'usr/share/qemu/multiboot_dma.bin',
    'usr/share/qemu/pvh.bin',
  ],
};

/** Software emulation is a module of its own in Debian's QEMU. */
const ACCELERATOR = 'usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so';

/** QEMU alone and its launcher, run as user 107 the way KubeVirt runs it: what plays a VM's pod in the test cluster. */
export const qemuLauncher: Component = {
  repository: 'linuxkit/qemu-launcher',
  tag: '7.2',
  recipe: import.meta.url,
  packages: [
    'qemu-system-x86',
    'qemu-system-common',
    'seabios',
    'qemu-system-data',
    'busybox-static',
    'genisoimage',
  ],
  guest: ['go.mod', 'qemu-launcher'],
  async make(workshop) {
    const emulator = join(await workshop.package('qemu-system-x86'), 'usr/bin/qemu-system-x86_64');
    const accelerator = join(await workshop.package('qemu-system-common'), ACCELERATOR);
    const mastering = join(await workshop.package('genisoimage'), 'usr/bin/genisoimage');
    const packages = await dependencies(workshop, ['qemu-system-x86', 'genisoimage']);
    const firmware = [];
    for (const [name, paths] of Object.entries(FIRMWARE)) {
      const tree = await workshop.package(name);
      for (const path of paths) {
        firmware.push(
          file(`usr/share/qemu/${path.slice(path.lastIndexOf('/') + 1)}`, { disk: join(tree, path) }),
        );
      }
    }
    return {
      layers: [
        { entries: await busyboxRoot(workshop) },
        { entries: await workshop.libraries([emulator, accelerator, mastering], packages) },
        {
          entries: [
            program('usr/bin/qemu-system-x86_64', { disk: emulator }),
            program('usr/bin/genisoimage', { disk: mastering }),
            program('usr/bin/launch', { disk: await workshop.goProgram('qemu-launcher') }),
            file(ACCELERATOR, { disk: accelerator }),
            ...firmware,
            file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nqemu:x:107:107:qemu:/:/bin/false\n'),
            file('etc/group', 'root:x:0:\nqemu:x:107:\n'),
          ],
        },
      ],
      config: {
        Entrypoint: ['/usr/bin/launch'],
        Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
        User: '107:107',
      },
    };
  },
};

/** The libraries among what these packages depend on. */
async function dependencies(workshop: Workshop, roots: readonly string[]): Promise<readonly string[]> {
  const names = await workshop.packages.closure(roots);
  return names.filter((name) => name.startsWith('lib') || name.startsWith('zlib'));
}
