import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { moduleClosure } from '../images/components/module-closure.ts';
import { type Entry, file } from '../images/entry.ts';
import { OciLayout } from '../images/oci-layout.ts';
import { pushImage } from '../images/oci-push.ts';
import { writeImage } from '../images/oci-writer.ts';
import { digestOf, Workshop } from '../images/workshop.ts';
import { run } from '../process/run.ts';
import { cacheFolder } from '../tools/cache.ts';

const WANTED =
  /\/(virtio_pci|virtio_net|virtio_blk|virtio_scsi|sr_mod|sd_mod|isofs|button|evdev|ata_piix|ahci)\.ko$/;
const REPOSITORY = 'test/small-guest';
/** QEMU's user in the pod, as KubeVirt has it. */
const QEMU = 107;

/**
 * Makes the boot image of a guest of a few megabytes, and pushes it: Debian's kernel, busybox
 * and one script (`guest/init`), which does what the kernel arguments say.
 * @returns `REPOSITORY@DIGEST`
 */
export async function publishSmallGuest(registry: string, signal: AbortSignal): Promise<string> {
  const sources = [join(import.meta.dirname, 'guest'), import.meta.filename];
  const tag = (await Promise.all(sources.map(digestOf))).map((digest) => digest.slice(0, 16)).join('-');
  const known = await publishedDigest(registry, tag, signal);
  if (known !== undefined) return `${REPOSITORY}@${known}`;
  const scratch = await mkdtemp(join(tmpdir(), 'small-guest-'));
  try {
    const { kernel, initrd } = await makeSmallGuest(scratch, signal);
    const own = (path: string, disk: string): Entry => ({
      ...file(path, { disk }, 0o444),
      uid: QEMU,
      gid: QEMU,
    });
    const image = await writeImage(
      new OciLayout(join(scratch, 'layout')),
      {
        layers: [
          { entries: [own('boot/kernel', kernel)], compression: 'none' },
          { entries: [own('boot/initrd.img', initrd)], compression: 'none' },
        ],
      },
      signal,
    );
    await pushImage(image, { registry, repository: REPOSITORY, tag }, signal);
    return `${REPOSITORY}@${image.descriptor.digest}`;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Of the image that an earlier test of this cluster has published. */
async function publishedDigest(
  registry: string,
  tag: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const response = await fetch(`http://${registry}/v2/${REPOSITORY}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    signal,
  });
  return response.ok ? (response.headers.get('docker-content-digest') ?? undefined) : undefined;
}

/** Paths of the guest's kernel and initrd; the latter lies in `folder`. */
export async function makeSmallGuest(
  folder: string,
  signal: AbortSignal,
): Promise<{ readonly kernel: string; readonly initrd: string }> {
  const workshop = new Workshop(cacheFolder(), signal);
  const names = await workshop.packages.closure(['linux-image-cloud-amd64']);
  const name = names.find((candidate) => /^linux-image-[0-9].*-cloud-amd64$/.test(candidate));
  if (name === undefined) throw new Error('linux-image-cloud-amd64 depends on no linux-image-VERSION');
  const tree = await workshop.package(name);
  const busybox = join(await workshop.package('busybox-static'), 'bin/busybox');
  const [release] = await readdir(join(tree, 'lib/modules'));
  if (release === undefined) throw new Error(`${name} holds no modules`);

  const root = join(folder, 'root');
  for (const path of ['bin', 'dev', 'etc/acpi/PWRF', 'mnt', 'proc', 'sys', 'tmp'])
    await mkdir(join(root, path), { recursive: true });
  const put = async (from: string, to: string, mode: number): Promise<void> => {
    await mkdir(dirname(join(root, to)), { recursive: true });
    await writeFile(join(root, to), await readFile(from), { mode });
  };
  await put(busybox, 'bin/busybox', 0o755);
  await put(join(import.meta.dirname, 'guest/init'), 'init', 0o755);
  await put(join(import.meta.dirname, 'guest/dhcp'), 'etc/dhcp', 0o755);
  await writeFile(join(root, 'etc/acpi/PWRF/00000080'), '#!/bin/sh\nexec poweroff -f\n', { mode: 0o755 });

  const home = join('lib/modules', release);
  const known = join(folder, 'known');
  await cp(join(tree, home), join(known, home), { recursive: true });
  await run(busybox, ['depmod', '-b', known, release], { signal });
  const dependencies = await readFile(join(known, home, 'modules.dep'), 'utf8');
  for (const path of moduleClosure(dependencies, (module) => WANTED.test(module)))
    await put(join(known, home, path), join(home, path), 0o644);
  await run(busybox, ['depmod', '-b', root, release], { signal });
  await rm(known, { recursive: true });

  const initrd = join(folder, 'initrd.img');
  const pack = 'find . | "$0" cpio -o -H newc | gzip -1 >"$1"';
  await run('sh', ['-c', pack, busybox, initrd], { cwd: root, signal });
  return { kernel: join(tree, 'boot', `vmlinuz-${release}`), initrd };
}
