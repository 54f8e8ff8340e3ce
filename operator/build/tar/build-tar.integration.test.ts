import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImagePublisher, INIT_ENTRIES, moduleEntries } from '../../../e2e/build/image-publisher.ts';
import { file, program } from '../../../e2e/images/entry.ts';
import { OciLayout } from '../../../e2e/images/oci-layout.ts';
import { type RegistryService, startRegistry } from '../../../e2e/services/registry.ts';
import { readInitramfs } from '../../initramfs/reader.ts';
import { unpack } from '../../initramfs/unpack.ts';
import { parseLinuxKit } from '../../linuxkit/parse.ts';
import { RegistryClient } from '../../oci/client.ts';
import { IMAGE_LIMITS } from '../../oci/limits.ts';
import type { IndexedTarEntry } from '../../oci/tar/entry.ts';
import { TarIndexer } from '../../oci/tar/indexer.ts';
import { type BuildResult, buildPrepared } from '../pipeline.ts';
import { prepareBuild } from '../prepare.ts';
import { buildTar, type TarResult } from './build-tar.ts';

/** cap_net_raw+ep as the kernel keeps it: version 2 with the effective bit, permitted, inheritable. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const LONG = `usr/share/${'long-name/'.repeat(12)}grün`;

let folder: string;
let registry: RegistryService;
let yaml: string;
const images: Record<string, string> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tar-test-'));
  registry = await startRegistry();
  const publisher = new ImagePublisher(new OciLayout(join(folder, 'layout')), registry.host);
  Object.assign(images, {
    kernel: await publisher.publishKernel('kernel', moduleEntries('6.1.0'), [
      file('intel.cpio', 'microcode'),
    ]),
    init: await publisher.publish('init', [
      [
        ...INIT_ENTRIES,
        { ...program('usr/bin/ping', 'ping'), xattrs: { 'security.capability': CAPABILITY } },
        { type: 'character', path: 'dev/null', major: 1, minor: 3, mode: 0o666 },
        file('lib/apk/db/installed', 'P:one\n'),
      ],
    ]),
    second: await publisher.publish('second', [[file('lib/apk/db/installed', 'P:two\n')]]),
    service: await publisher.publish(
      'service',
      [[program('bin/service', 'service'), file(LONG, 'far away')]],
      {
        Cmd: ['/bin/service'],
      },
    ),
  });
  yaml = `
kernel: {image: "${images['kernel']}", cmdline: "console=ttyS0", ucode: intel.cpio}
init: ["${images['init']}", "${images['second']}"]
onboot:
  - {name: once, image: "${images['service']}", readonly: true}
services:
  - {name: web, image: "${images['service']}"}
volumes:
  - {name: data, image: "${images['second']}"}
  - {name: empty}
files:
  - {path: etc/motd, contents: hello}
  - {path: etc/issue, contents: second, mode: "0644"}
`;
});

afterAll(async () => {
  await registry.stop();
  await rm(folder, { recursive: true });
});

async function run(text = yaml): Promise<{ readonly tar: TarResult; readonly bytes: Buffer }> {
  const { tar } = await both(text, false);
  return { tar, bytes: await readFile(tar.files['image.tar'].path) };
}

async function both(text: string, initrd: boolean): Promise<{ tar: TarResult; result?: BuildResult }> {
  const workFolder = await mkdtemp(join(folder, 'work-'));
  await using client = new RegistryClient();
  const prepared = await prepareBuild(
    {
      config: parseLinuxKit(text, { source: 'test.yml', allowSource: true, requireKernel: true }),
      architecture: 'amd64',
      compression: 'auto',
      files: [],
    },
    {
      images: client,
      workFolder,
      signal: AbortSignal.timeout(60_000),
      limits: IMAGE_LIMITS,
      report: () => undefined,
      now: () => new Date(),
      engine: 'linuxkit-operator/test',
      findResult: async () => undefined,
    },
  );
  const tar = await buildTar(prepared);
  return initrd ? { tar, result: await buildPrepared(prepared) } : { tar };
}

function entriesOf(bytes: Buffer): readonly IndexedTarEntry[] {
  const indexer = new TarIndexer('image.tar');
  indexer.push(bytes);
  indexer.end();
  return indexer.entries;
}

const body = (bytes: Buffer, entry: IndexedTarEntry | undefined): string =>
  entry === undefined ? '' : bytes.toString('utf8', entry.offset, entry.offset + entry.size);

async function gnuTar(...args: string[]): Promise<string> {
  return (await promisify(execFile)('tar', args, { env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC' } }))
    .stdout;
}

describe('the format tar', () => {
  it('is listed by GNU tar: kernel, init images, volumes, containers, files and the SBOM, in this order', async () => {
    const { tar } = await run();
    const path = tar.files['image.tar'].path;
    const names = (await gnuTar('--quoting-style=literal', '-tf', path)).trimEnd().split('\n');
    const milestones = [
      'boot',
      'boot/cmdline',
      'boot/kernel',
      'boot/ucode.cpio',
      'usr/lib/modules/6.1.0/virtio.ko',
      'usr/bin/busybox',
      'usr/lib/apk/db/installed',
      'containers/volumes/data/lower/etc/resolv.conf',
      'containers/volumes/data/tmp',
      'containers/volumes/empty/lower',
      'containers/onboot/000-once/config.json',
      'containers/onboot/000-once/rootfs/bin/service',
      `containers/onboot/000-once/rootfs/${LONG}`,
      'containers/services/web/config.json',
      'containers/services/web/rootfs',
      'etc/motd',
      'sbom.spdx.json',
    ];
    const found = milestones.map((name) => names.indexOf(name));
    expect(found.filter((at) => at < 0)).toEqual([]);
    expect(found).toEqual(found.toSorted((a, b) => a - b));
    expect(names.at(-1)).toBe('sbom.spdx.json');
    const types = (await gnuTar('-tvf', path)).trimEnd().split('\n');
    const files = names.filter((_, at) => types[at]?.startsWith('d') === false);
    expect(new Set(files).size).toBe(files.length);
    expect(files.length).toBeGreaterThan(20);
  });

  it('keeps file capabilities, devices, hard links and times, as GNU tar sees them', async () => {
    const { tar } = await run();
    const path = tar.files['image.tar'].path;
    const listing = await gnuTar(
      '--xattrs',
      '--xattrs-include=*',
      '--full-time',
      '--numeric-owner',
      '-tvvf',
      path,
    );
    expect(listing).toMatch(/ usr\/bin\/ping\n {2}x: 20 security\.capability\n/);
    expect(listing).toMatch(/^crw-rw-rw- +0\/0 +1,3 .* dev\/null$/m);
    expect(listing).toMatch(/ usr\/bin\/ls link to usr\/bin\/busybox$/m);
    expect(listing).toMatch(/^-rw-r--r-- +0\/0 +13 2017-04-18 16:30:00 boot\/cmdline$/m);
    expect(listing).toMatch(/^drwxr-xr-x +0\/0 +0 2017-04-18 16:30:00 boot$/m);
    const target = await mkdtemp(join(folder, 'extracted-'));
    await gnuTar('-xf', path, '-C', target, '--exclude=dev');
    expect(await readFile(join(target, 'boot/kernel'), 'utf8')).toBe('a kernel');
    expect(await readFile(join(target, 'containers/onboot/000-once/rootfs', LONG), 'utf8')).toBe('far away');
  });

  it('records with every entry which image and which place it comes of', async () => {
    const { bytes } = await run();
    const records = new Set(
      [...bytes.toString('latin1').matchAll(/LINUXKIT\.location=(.*)\n\d+ LINUXKIT\.source=(.*)\n/g)].map(
        ([, location, source]) => `${location} ${source}`,
      ),
    );
    expect([...records]).toEqual([
      `kernel ${images['kernel']}`,
      `init[0] ${images['init']}`,
      `init[1] ${images['second']}`,
      'init LINUXKIT.apkinit',
      `volumes[0] ${images['second']}`,
      `onboot[0] ${images['service']}`,
      `services[0] ${images['service']}`,
      'files[1] linuxkit.files',
      'files[0] linuxkit.files',
    ]);
  });

  it('is the same, byte for byte, for the same inputs', async () => {
    const [first, second] = [await run(), await run()];
    expect(second.bytes.equals(first.bytes)).toBe(true);
    const statement = async ({ tar }: Awaited<ReturnType<typeof run>>) =>
      readFile(tar.files['image.tar.provenance.json'].path, 'utf8');
    expect(await statement(second)).toBe(await statement(first));
    expect(JSON.parse(await statement(first))).toMatchObject({
      subject: [{ name: 'image.tar', digest: { sha256: first.tar.files['image.tar'].sha256 } }],
    });
  });

  it('names the kernel and the images in the SBOM that it ends with', async () => {
    const { bytes } = await run();
    const document = JSON.parse(body(bytes, entriesOf(bytes).at(-1))) as {
      packages: { name: string }[];
      relationships: { spdxElementId: string; relationshipType: string }[];
    };
    expect(document.packages.map(({ name }) => name)).toEqual([
      'linuxkit-amd64',
      'kernel',
      'cmdline',
      ...['kernel', 'init', 'second', 'service'].map((name) => `${registry.host}/${name}`),
    ]);
    const contained = document.relationships.filter(
      ({ spdxElementId, relationshipType }) =>
        spdxElementId === 'SPDXRef-Artifact' && relationshipType === 'CONTAINS',
    );
    // Kernel and command line, and the images by their five uses besides the kernel's.
    expect(contained).toHaveLength(7);
  });

  it('holds the same tree as the initrd, and below boot what that does not', async () => {
    const { tar, result } = await both(yaml.replace(', ucode: intel.cpio', ''), true);
    const bytes = await readFile(tar.files['image.tar'].path);
    const image = await readFile(result?.files?.['initrd.img'].path ?? '');
    const entries = new Map(entriesOf(bytes).map((entry) => [entry.path, entry]));
    const { nodes, lost } = unpack(readInitramfs(image));
    expect(lost).toEqual([]);
    for (const [path, node] of nodes) {
      const entry = entries.get(path);
      const first = entry?.type === 'hardlink' ? entries.get(entry.linkTarget) : entry;
      expect([path, first?.type, first?.mode, first?.uid, first?.gid, first?.mtime]).toEqual([
        path,
        node.type,
        node.mode,
        node.uid,
        node.gid,
        node.mtime,
      ]);
      if (node.type === 'file') expect(body(bytes, first)).toBe(node.data.toString());
      if (node.type === 'symlink') expect(first?.linkTarget).toBe(node.data.toString());
    }
    const more = [...entries.keys()].filter((path) => !nodes.has(path));
    expect(more).toEqual(['boot/cmdline', 'boot/kernel', 'sbom.spdx.json']);
  });

  it('takes the directory of another image as it is, and refuses what would be lost', async () => {
    const { bytes } = await run(
      `${yaml}  - {path: containers/services/web/lower/etc/extra, contents: more}\n`,
    );
    expect(entriesOf(bytes).map(({ path }) => path)).toContain('containers/services/web/lower/etc/extra');
    await expect(run(`${yaml}  - {path: usr/bin, contents: x}\n`)).rejects.toMatchObject({
      step: 'assemble',
      code: 'AssemblyFailed',
    });
  });
});
