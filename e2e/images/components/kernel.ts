import { createWriteStream } from 'node:fs';
import { cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { run } from '../../process/run.ts';
import type { Component } from '../component.ts';
import { entriesOfFolder } from '../disk-tree.ts';
import { file, withParents } from '../entry.ts';
import { ImageError } from '../image-error.ts';
import { tarball } from '../tarball.ts';
import { moduleClosure } from './module-closure.ts';

/** Folders and names of kernel modules that a virtual machine, its containers or dockerd use. */
const WANTED: readonly RegExp[] = [
  /^kernel\/drivers\/(virtio|block\/virtio_blk|char\/(hw_random|virtio_console)|net\/(virtio_net|veth|dummy|tun|macvlan|ipvlan|vxlan|bonding|net_failover|ethernet\/intel\/e1000))/,
  /^kernel\/drivers\/(ata|cdrom|scsi\/(virtio_scsi|sd_mod|sr_mod|sg|scsi_mod)|nvme|loop|block\/loop)/,
  /^kernel\/drivers\/(acpi\/(button|ac|battery)|input\/(evdev|mouse\/psmouse)|watchdog\/i6300esb|ptp|md\/dm-mod)/,
  /^kernel\/fs\/(overlayfs|isofs|fat|fuse|squashfs|nls|9p|erofs|configfs|pstore|efivarfs|btrfs|xfs)/,
  /^kernel\/net\/(netfilter|bridge|ipv4|ipv6|802|8021q|llc|packet|vmw_vsock|9p|sched\/(sch_fq|cls_cgroup))/,
  /^kernel\/(crypto|lib|arch\/x86\/crypto)\/.*(crc|sha|aes|xor|raid6|zstd|lzo|xxhash|blake2b)/,
];

/** Debian's kernel for virtual machines, and those of its modules that can matter in one. */
export const kernel: Component = {
  repository: 'linuxkit/kernel',
  tag: '6.1',
  recipe: import.meta.url,
  packages: ['linux-image-cloud-amd64', 'busybox-static'],
  async make(workshop, scratch) {
    const names = await workshop.packages.closure(['linux-image-cloud-amd64']);
    const name = names.find((candidate) => /^linux-image-[0-9].*-cloud-amd64$/.test(candidate));
    if (name === undefined) {
      throw new ImageError(
        'PackageUnavailable',
        'linux-image-cloud-amd64 depends on no linux-image-VERSION-cloud-amd64',
      );
    }
    const tree = await workshop.package(name);
    const busybox = join(await workshop.package('busybox-static'), 'bin', 'busybox');
    const [release] = await readdir(join(tree, 'lib/modules'));
    if (release === undefined) throw new ImageError('PackageUnavailable', `${name} holds no modules`);

    const all = join(scratch, 'all');
    const few = join(scratch, 'few');
    const home = join('lib/modules', release);
    await cp(join(tree, home), join(all, home), { recursive: true });
    await depmod(busybox, all, release, workshop.signal);
    const dependencies = await readFile(join(all, home, 'modules.dep'), 'utf8');
    for (const path of moduleClosure(dependencies, (module) =>
      WANTED.some((wanted) => wanted.test(module)),
    )) {
      await mkdir(dirname(join(few, home, path)), { recursive: true });
      await cp(join(all, home, path), join(few, home, path));
    }
    for (const list of ['modules.builtin', 'modules.order', 'modules.builtin.modinfo']) {
      await cp(join(all, home, list), join(few, home, list));
    }
    await depmod(busybox, few, release, workshop.signal);
    const archive = join(scratch, 'kernel.tar');
    const entries = withParents(await entriesOfFolder(few, ''));
    await pipeline(tarball(entries, workshop.signal), createWriteStream(archive));
    return {
      layers: [
        {
          entries: [
            file('kernel', { disk: join(tree, 'boot', `vmlinuz-${release}`) }),
            file('kernel.tar', { disk: archive }),
          ],
        },
      ],
    };
  },
};

function depmod(busybox: string, root: string, release: string, signal: AbortSignal): Promise<string> {
  return run(busybox, ['depmod', '-b', root, release], { signal });
}
