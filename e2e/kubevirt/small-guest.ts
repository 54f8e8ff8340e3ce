import { createWriteStream } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { moduleClosure } from '../images/components/module-closure.ts';
import { entriesOfFolder } from '../images/disk-tree.ts';
import { type Entry, file, withParents } from '../images/entry.ts';
import { OciLayout } from '../images/oci-layout.ts';
import { pushImage } from '../images/oci-push.ts';
import { type ImageSource, writeImage } from '../images/oci-writer.ts';
import { tarball } from '../images/tarball.ts';
import { digestOf, Workshop } from '../images/workshop.ts';
import { run } from '../process/run.ts';
import { cacheFolder } from '../tools/cache.ts';

const WANTED =
  /\/(virtio_pci|virtio_net|virtio_blk|virtio_scsi|sr_mod|sd_mod|isofs|button|evdev|ata_piix|ahci)\.ko$/;
/** QEMU's user in the pod, as KubeVirt has it. */
const QEMU = 107;

/** The files of a guest of a few megabytes: Debian's kernel, busybox, and one script that does what the kernel arguments say. */
export interface SmallGuest {
  readonly kernel: string;
  /** Folder with `lib/modules`. */
  readonly modules: string;
  /** Folder with everything else. */
  readonly root: string;
}

/**
 * Pushes the guest as the image that a machine boots, unless an earlier test has.
 * @returns `REPOSITORY@DIGEST`
 */
export async function publishSmallGuest(registry: string, signal: AbortSignal): Promise<string> {
  return await publish({ registry, repository: 'test/small-guest' }, signal, async (folder) => {
    const guest = await makeSmallGuest(folder, signal);
    const initrd = await packSmallGuest(guest, folder, signal);
    const own = (path: string, disk: string): Entry => ({
      ...file(path, { disk }, 0o444),
      uid: QEMU,
      gid: QEMU,
    });
    return {
      layers: [
        { entries: [own('boot/kernel', guest.kernel)], compression: 'none' },
        { entries: [own('boot/initrd.img', initrd)], compression: 'none' },
      ],
    };
  });
}

/**
 * Pushes the guest as the two images of a LinuxKit configuration, for the operator to build of.
 * @returns `REPOSITORY@DIGEST` of `kernel` and of the only image of `init`
 */
export async function publishSmallComponents(
  registry: string,
  signal: AbortSignal,
): Promise<{ readonly kernel: string; readonly init: string }> {
  const kernel = await publish({ registry, repository: 'test/small-kernel' }, signal, async (folder) => {
    const guest = await makeSmallGuest(folder, signal);
    const archive = join(folder, 'kernel.tar');
    const modules = withParents(await entriesOfFolder(guest.modules, ''));
    await pipeline(tarball(modules, signal), createWriteStream(archive));
    return {
      layers: [{ entries: [file('kernel', { disk: guest.kernel }), file('kernel.tar', { disk: archive })] }],
    };
  });
  const init = await publish({ registry, repository: 'test/small-init' }, signal, async (folder) => {
    const { root } = await makeSmallGuest(folder, signal);
    return { layers: [{ entries: await entriesOfFolder(root, '') }] };
  });
  return { kernel, init };
}

/** Pushes what `make` makes in an empty folder, unless the registry has what the same sources gave before. */
async function publish(
  target: { readonly registry: string; readonly repository: string },
  signal: AbortSignal,
  make: (folder: string) => Promise<ImageSource>,
): Promise<string> {
  const { registry, repository } = target;
  const sources = [join(import.meta.dirname, 'guest'), import.meta.filename];
  const tag = (await Promise.all(sources.map(digestOf))).map((digest) => digest.slice(0, 16)).join('-');
  const response = await fetch(`http://${registry}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    signal,
  });
  const known = response.ok ? response.headers.get('docker-content-digest') : null;
  if (known !== null) return `${repository}@${known}`;
  const scratch = await mkdtemp(join(tmpdir(), 'small-guest-'));
  try {
    const image = await writeImage(new OciLayout(join(scratch, 'layout')), await make(scratch), signal);
    await pushImage(image, { registry, repository, tag }, signal);
    return `${repository}@${image.descriptor.digest}`;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Makes the guest's files below `folder`. */
export async function makeSmallGuest(folder: string, signal: AbortSignal): Promise<SmallGuest> {
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
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, await readFile(from), { mode });
  };
  await put(busybox, join(root, 'bin/busybox'), 0o755);
  await put(join(import.meta.dirname, 'guest/init'), join(root, 'init'), 0o755);
  await put(join(import.meta.dirname, 'guest/dhcp'), join(root, 'etc/dhcp'), 0o755);
  await writeFile(join(root, 'etc/acpi/PWRF/00000080'), '#!/bin/sh\nexec poweroff -f\n', { mode: 0o755 });

  const home = join('lib/modules', release);
  const [known, modules] = [join(folder, 'known'), join(folder, 'modules')];
  await cp(join(tree, home), join(known, home), { recursive: true });
  await run(busybox, ['depmod', '-b', known, release], { signal });
  const dependencies = await readFile(join(known, home, 'modules.dep'), 'utf8');
  for (const path of moduleClosure(dependencies, (module) => WANTED.test(module)))
    await put(join(known, home, path), join(modules, home, path), 0o644);
  await run(busybox, ['depmod', '-b', modules, release], { signal });
  await rm(known, { recursive: true });
  return { kernel: join(tree, 'boot', `vmlinuz-${release}`), modules, root };
}

/** Path of the guest's initrd, which is written into `folder`. */
export async function packSmallGuest(
  { root, modules }: SmallGuest,
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  const whole = join(folder, 'whole');
  for (const part of [root, modules]) await cp(part, whole, { recursive: true });
  const initrd = join(folder, 'initrd.img');
  const pack = 'find . | ./bin/busybox cpio -o -H newc | gzip -1 >"$0"';
  await run('sh', ['-c', pack, initrd], { cwd: whole, signal });
  return initrd;
}
