import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { findFreePort } from '../cluster/ports.ts';
import { run } from '../process/run.ts';
import { cacheFolder } from '../tools/cache.ts';
import { exampleFile, Testbed } from './testbed.ts';
import { Workshop } from './workshop.ts';

/** Milliseconds in which an emulated machine has shown what it is waited for, on a busy machine. */
const PATIENCE = 300_000;

let testbed: Testbed;

beforeAll(async () => {
  testbed = await Testbed.start(AbortSignal.timeout(590_000));
});

afterAll(async () => {
  await testbed?.[Symbol.asyncDispose]();
});

test('the minimal example runs its containers, serves its page, and goes down by its power button', async ({
  signal,
}) => {
  const port = await findFreePort();
  await using machine = await testbed.boot(await exampleFile('minimal.yml'), {
    signal,
    forward: { 80: port },
  });
  await machine.waitFor(
    /^\[000-hello\] hello from an onboot container: Linux 6\.1\.\S+, process 1 of /m,
    PATIENCE,
  );
  await machine.waitFor(/^\[httpd\] httpd: serving on port 80: hello from a service$/m, PATIENCE);
  const page = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(60_000) });
  expect(await page.text()).toMatch(/^hello from a service, from linuxkit-525400/);

  const pressed = performance.now();
  await machine.pressPowerButton();
  expect(await machine.ended).toBe(0);
  expect(performance.now() - pressed).toBeLessThan(30_000);
  expect(machine.console.text).not.toMatch(/^service: /m);
}, 600_000);

test('a guest honours the rest of the contract', async ({ signal }) => {
  const disk = join(testbed.folder, 'disk.img');
  await writeFile(disk, '');
  await truncate(disk, 128 * 1024 * 1024);
  const cdrom = await metadataDisk(join(testbed.folder, 'metadata'), signal);
  await using machine = await testbed.boot(CONTRACT, {
    signal,
    args: [
      `-drive file=${disk},if=virtio,format=raw`,
      `-drive file=${cdrom},if=none,id=cd,media=cdrom,format=raw,readonly=on`,
      '-device virtio-scsi-pci -device scsi-cd,drive=cd',
    ].flatMap((option) => option.split(' ')),
  });
  await machine.waitFor(/^\[z-last\] done$/m, PATIENCE);
  const shown = (line: RegExp): void => expect(machine.console.text).toMatch(line);
  shown(/^\[000-sysctl-check\] 262144$/m);
  shown(/^\[003-format\] format: making ext4 on \/dev\/vda$/m);
  shown(/^\[004-mount\] mount: \/dev\/vda on \/var\/lib\/data$/m);
  shown(/^\[005-metadata\] metadata: \d+ bytes from \/dev\/sr0$/m);
  shown(/^\[006-look\] host machine-7, key ssh-ed25519 AAAA, mode 600, disk \/dev\/vda, volume written$/m);
  shown(/^\[001-readonly\] touch: \/x: Read-only file system$/m);
  shown(/^\[002-fails\] to standard error$/m);
  shown(/^service: onboot 002-fails: exit status 3$/m);
  shown(/^\[netns\] interfaces: lo veth0$/m);
  shown(/^service: service wrong: .*no such file or directory/m);
  shown(/^\[z-last\] containers: dhcpcd netns z-last$/m);

  await machine.pressPowerButton();
  expect(await machine.ended).toBe(0);
  shown(/^\[000-bye\] bye$/m);
}, 600_000);

test('the Docker example runs a Docker daemon that answers', async ({ signal }) => {
  await using machine = await testbed.boot(await exampleFile('docker.yml'), { signal, memory: '1536M' });
  const { index = 0 } = await machine.waitFor(/^\[docker\] Server:$/m, PATIENCE);
  await machine.waitFor(/^\[docker\] {2}docker-init:$/m, 10_000);
  expect(machine.console.text.slice(index)).toMatch(/^\[docker\] {3}Version: +20\.10\./m);
}, 600_000);

/** What the two examples do not show: read-only roots, failures, disks, metadata, volumes, namespaces, shutdown. */
const CONTRACT = `
kernel:
  image: 127.0.0.1:5000/linuxkit/kernel:6.1
  cmdline: console=ttyS0 quiet
init:
  - 127.0.0.1:5000/linuxkit/init:1
  - 127.0.0.1:5000/linuxkit/runc:1.1
  - 127.0.0.1:5000/linuxkit/containerd:1.6
volumes:
  - name: shared
onboot:
  - name: sysctl-check
    image: 127.0.0.1:5000/linuxkit/sysctl:1
    command: ["/bin/sh", "-c", "/bin/sysctl-all && cat /proc/sys/vm/max_map_count"]
  - name: readonly
    image: 127.0.0.1:5000/linuxkit/busybox:1.35
    readonly: true
    command: ["/bin/touch", "/x"]
  - name: fails
    image: 127.0.0.1:5000/linuxkit/busybox:1.35
    command: ["/bin/sh", "-c", "echo to standard error >&2; exit 3"]
  - name: format
    image: 127.0.0.1:5000/linuxkit/format:1
  - name: mount
    image: 127.0.0.1:5000/linuxkit/mount:1
    command: ["/mount.sh", "/var/lib/data"]
  - name: metadata
    image: 127.0.0.1:5000/linuxkit/metadata:1
  - name: look
    image: 127.0.0.1:5000/linuxkit/busybox:1.35
    binds:
      - /run:/run
      - /var/lib/data:/mnt
      - shared:/srv
    command:
      - /bin/sh
      - -c
      - >-
        key=/run/config/ssh/authorized_keys; echo written >/srv/note;
        echo "host $(hostname), key $(cat $key), mode $(stat -c %a $key),
        disk $(df /mnt | tail -n 1 | cut -d' ' -f1), volume $(cat /srv/note)"
  - name: make-netns
    image: 127.0.0.1:5000/linuxkit/busybox:1.35
    net: new
    command: ["/bin/true"]
    runtime:
      interfaces:
        - {name: veth0, add: veth, peer: veth1}
      bindNS:
        net: /run/netns/own
onshutdown:
  - name: bye
    image: 127.0.0.1:5000/linuxkit/busybox:1.35
    command: ["/bin/echo", "bye"]
services:
  - name: acpid
    image: 127.0.0.1:5000/linuxkit/acpid:1
  - name: dhcpcd
    image: 127.0.0.1:5000/linuxkit/dhcpcd:1
  - name: netns
    image: 127.0.0.1:5000/linuxkit/busybox:1.35
    net: /run/netns/own
    command: ["/bin/sh", "-c", "echo interfaces: $(ls /sys/class/net); exec sleep 10000"]
  - name: wrong
    image: 127.0.0.1:5000/linuxkit/busybox:1.35
    command: ["/no/such/program"]
  - name: z-last
    image: 127.0.0.1:5000/linuxkit/busybox:1.35
    binds:
      - /run/containers:/mnt
      - shared:/srv
    command:
      - /bin/sh
      - -c
      - >-
        cat /srv/note; cd /mnt;
        until grep -q . service.z-last.pid; do usleep 100000; done;
        echo containers: $(ls service.*.pid | sed 's/^service[.]//;s/[.]pid$//' | grep -v -e acpid -e wrong);
        echo done; exec sleep 10000
`;

async function metadataDisk(folder: string, signal: AbortSignal): Promise<string> {
  await mkdir(folder);
  const tree = {
    hostname: { content: 'machine-7' },
    ssh: { perm: '0700', entries: { authorized_keys: { perm: '0600', content: 'ssh-ed25519 AAAA\n' } } },
  };
  await writeFile(join(folder, 'user-data'), JSON.stringify(tree));
  const { packages } = new Workshop(cacheFolder(), signal);
  const trees = await packages.unpackAll(['genisoimage', 'libmagic1', 'zlib1g', 'libbz2-1.0', 'liblzma5']);
  const libraries = trees.flatMap((path) => [
    join(path, 'usr/lib/x86_64-linux-gnu'),
    join(path, 'lib/x86_64-linux-gnu'),
  ]);
  const disk = `${folder}.iso`;
  const options = ['-quiet', '-volid', 'cidata', '-joliet', '-rock', '-o', disk, folder];
  await run(join(trees[0] ?? '', 'usr/bin/genisoimage'), options, {
    signal,
    env: { LD_LIBRARY_PATH: libraries.join(':') },
  });
  return disk;
}
