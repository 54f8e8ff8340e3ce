import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImagePublisher, INIT_ENTRIES, moduleEntries } from '../../e2e/build/image-publisher.ts';
import { file, program } from '../../e2e/images/entry.ts';
import { OciLayout } from '../../e2e/images/oci-layout.ts';
import { pushImage } from '../../e2e/images/oci-push.ts';
import { type ImageSource, writeImage } from '../../e2e/images/oci-writer.ts';
import { tarball } from '../../e2e/images/tarball.ts';
import { type RegistryService, startRegistry } from '../../e2e/services/registry.ts';
import { divide, writeArchive } from '../initramfs/archive.ts';
import { arrange } from '../initramfs/arrange.ts';
import type { Entry } from '../initramfs/entry.ts';
import { type ReadEntry, readInitramfs } from '../initramfs/reader.ts';
import { type UnpackedTree, unpack } from '../initramfs/unpack.ts';
import { parseLinuxKit } from '../linuxkit/parse.ts';
import { RegistryClient } from '../oci/client.ts';
import { IMAGE_LIMITS } from '../oci/limits.ts';
import { parseReference } from '../oci/reference.ts';
import { build } from './pipeline.ts';
import type { BuildRecord } from './record.ts';

/** Images in every form in which they may come, and kernels with every part that they may have. */

const MICROCODE = 'kernel/x86/microcode/GenuineIntel.bin';

let folder: string;
let registry: RegistryService;
let layout: OciLayout;
let images: ImagePublisher;
let kernel: string;
let init: string;
let service: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forms-'));
  registry = await startRegistry();
  layout = new OciLayout(join(folder, 'layout'));
  images = new ImagePublisher(layout, registry.host);
  const own = await buffer(tarball(moduleEntries('6.9.9')));
  kernel = await images.publishKernel('kernel', moduleEntries('6.1.0'), [
    file('vmlinuz', 'another kernel'),
    file('own.tar', own),
    file('intel.cpio', await microcode()),
  ]);
  init = await images.publish('init', [INIT_ENTRIES]);
  service = await images.publish('service', [[program('bin/service', 'service')]], { Cmd: ['/bin/service'] });
});

afterAll(async () => {
  await registry.stop();
  await rm(folder, { recursive: true });
});

/** An archive as processors take it, of a length that does not divide by 4 before it is padded. */
async function microcode(): Promise<Buffer> {
  const metadata = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
  const parts = MICROCODE.split('/');
  const folders = parts.slice(1).map((_, at): Entry => {
    const path = parts.slice(0, at + 1).join('/');
    return { type: 'directory', path, ...metadata, mode: 0o755 };
  });
  const blob: Entry = { type: 'file', path: MICROCODE, ...metadata, size: 3, content: [Buffer.from('abc')] };
  const [run] = divide(arrange([...folders, blob]), Number.MAX_SAFE_INTEGER);
  const chunks: Buffer[] = [];
  if (run === undefined) throw new Error('an archive has one run at least');
  const options = { device: { major: 0, minor: 0 }, trailer: true, signal: new AbortController().signal };
  await writeArchive(run, options, async (bytes) => void chunks.push(Buffer.from(bytes)));
  return Buffer.concat(chunks);
}

interface Built {
  readonly record: BuildRecord;
  readonly kernel: string;
  readonly image: Buffer;
  readonly entries: readonly ReadEntry[];
  readonly tree: UnpackedTree;
}

async function run(yaml: string, architecture: 'amd64' | 'arm64' = 'amd64'): Promise<Built> {
  const workFolder = await mkdtemp(join(folder, 'work-'));
  await using client = new RegistryClient();
  const { record, files } = await build(
    {
      config: parseLinuxKit(yaml, { source: 'test.yml', allowSource: false, requireKernel: true }),
      architecture,
      compression: 'auto',
      files: [],
    },
    {
      images: client,
      workFolder,
      signal: AbortSignal.timeout(60_000),
      limits: IMAGE_LIMITS,
      report: () => undefined,
      now: () => new Date('2026-01-01T00:00:00Z'),
      engine: 'test/1',
      findResult: async () => undefined,
    },
  );
  if (files === undefined) throw new Error('nothing was built');
  const image = await readFile(files['initrd.img'].path);
  const entries = [...readInitramfs(image)];
  const binary = await readFile(files.kernel.path, 'utf8');
  return { record, kernel: binary, image, entries, tree: unpack(entries) };
}

const withKernel = (more: string): string => `kernel: {image: "${kernel}"${more}}\ninit: ["${init}"]\n`;
const modules = ({ tree }: Built): readonly string[] =>
  [...tree.nodes.keys()].filter((path) => /modules\/[\d.]+$/.test(path));

describe('a kernel image', () => {
  it('gives kernel and modules by their usual names, and nothing else', async () => {
    const built = await run(withKernel(''));
    expect(built.kernel).toBe('a kernel');
    expect(modules(built)).toEqual(['usr/lib/modules/6.1.0']);
    expect(built.record.cmdline).toBe('');
    expect([...built.tree.nodes.keys()]).not.toContain('vmlinuz');
  });

  it('gives another kernel and other modules where the configuration names them', async () => {
    const built = await run(withKernel(', binary: vmlinuz, tar: own.tar'));
    expect(built.kernel).toBe('another kernel');
    expect(modules(built)).toEqual(['usr/lib/modules/6.9.9']);
  });

  it.each(['none', '""'])('gives no modules for tar: %s', async (tar) => {
    const built = await run(withKernel(`, tar: ${tar}`));
    expect(modules(built)).toEqual([]);
    // Of a kernel of unknown age nobody knows whether it can unpack more.
    expect(built.record.compression).toBe('gzip');
  });

  it('has its kernel under the name of 2017', async () => {
    const old = await images.publish('old', [[file('bzImage', 'a kernel of 2017')]]);
    const built = await run(`kernel: {image: "${old}", tar: none}\ninit: ["${init}"]\n`);
    expect(built.kernel).toBe('a kernel of 2017');
  });

  it('has its microcode in front, not compressed, and the rest behind it is whole', async () => {
    const built = await run(withKernel(', ucode: intel.cpio'));
    const archive = await microcode();
    expect(built.image.subarray(0, archive.length).equals(archive)).toBe(true);
    expect(built.entries.find(({ path }) => path === MICROCODE)?.member).toBe(0);
    expect(built.tree.lost).toEqual([]);
    expect(modules(built)).toEqual(['usr/lib/modules/6.1.0']);
    expect(built.tree.nodes.get('init')?.data.toString()).toBe('#!/bin/sh');
  });

  it('fails with microcode that is none', async () => {
    await expect(run(withKernel(', ucode: vmlinuz'))).rejects.toMatchObject({
      code: 'AssemblyFailed',
      message: expect.stringContaining('kernel.ucode') as string,
    });
  });
});

async function publishSingle(name: string, source: Omit<ImageSource, 'layers' | 'config'>): Promise<string> {
  const layers = [
    { entries: [program('bin/service', name)], compression: 'gzip' },
    { entries: [file('etc/layer', 'plain')], compression: 'none' },
  ] as const;
  const image = await writeImage(layout, { layers, config: { Cmd: ['/bin/service'] }, ...source });
  await pushImage(image, { registry: registry.host, repository: name, tag: '1' });
  return `${registry.host}/${name}:1`;
}

describe('an image', () => {
  const use = (reference: string): string =>
    `${withKernel('')}services: [{name: web, image: "${reference}"}]\n`;
  const program = ({ tree }: Built): string | undefined =>
    tree.nodes.get('containers/services/web/lower/bin/service')?.data.toString();

  it('is the same by tag, by digest and by both, and the digest counts', async () => {
    await using client = new RegistryClient();
    const digest = await client.resolveDigest(parseReference(service), AbortSignal.timeout(60_000));
    const name = service.slice(0, service.lastIndexOf(':'));
    const byTag = await run(use(service));
    for (const reference of [`${name}@${digest}`, `${service}@${digest}`, `${name}:no-such-tag@${digest}`]) {
      const built = await run(use(reference));
      expect(built.image.equals(byTag.image)).toBe(true);
      expect(built.record.inputs.at(-1)).toMatchObject({
        reference,
        digest: byTag.record.inputs.at(-1)?.digest,
      });
    }
  });

  it.each(['oci', 'docker'] as const)(
    'may be a single manifest in the media types of %s',
    async (mediaTypes) => {
      const built = await run(use(await publishSingle(`single-${mediaTypes}`, { mediaTypes })));
      expect(program(built)).toBe(`single-${mediaTypes}`);
      expect(built.tree.nodes.get('containers/services/web/lower/etc/layer')?.data.toString()).toBe('plain');
    },
  );

  it('that is a single manifest for another architecture is refused', async () => {
    const reference = await publishSingle('foreign', { architecture: 'arm64' });
    await expect(run(use(reference))).rejects.toMatchObject({
      step: 'resolve',
      code: 'ImageNotFound',
      message: expect.stringMatching(
        /foreign.*linux\/amd64.*linux\/arm64|foreign.*linux\/arm64.*linux\/amd64/,
      ) as string,
    });
  });

  it('may be used in every place at once, its files by the rules of each', async () => {
    const { tree } = await run(`kernel: {image: "${kernel}"}
init: ["${init}", "${service}"]
volumes: [{name: data, image: "${service}"}, {name: whole, image: "${service}", format: oci}]
onboot:
  - {name: one, image: "${service}"}
  - {name: two, image: "${service}", readonly: true}
onshutdown: [{name: bye, image: "${service}"}]
services: [{name: web, image: "${service}", binds: ["data:/data"]}]
`);
    expect(tree.lost).toEqual([]);
    const resolv = (place: string): string =>
      `${tree.nodes.get(`${place}etc/resolv.conf`)?.type} ${tree.nodes.get(`${place}etc/resolv.conf`)?.data.toString().trim()}`;
    expect(resolv('')).toBe('symlink /run/resolvconf/resolv.conf');
    expect(resolv('containers/volumes/data/lower/')).toBe('symlink /run/resolvconf/resolv.conf');
    expect(resolv('containers/onboot/000-one/lower/')).toBe('file # no resolv.conf configured');
    const copies = [...tree.nodes.keys()].filter((path) => path.endsWith('bin/service'));
    // At the root, in the volume, and once for all containers of the reference.
    expect(copies.sort()).toEqual([
      'containers/onboot/000-one/lower/bin/service',
      'containers/volumes/data/lower/bin/service',
      'usr/bin/service',
    ]);
    const overlay = (place: string): string =>
      JSON.stringify(
        JSON.parse(tree.nodes.get(`containers/${place}/runtime.json`)?.data.toString() ?? ''),
      ).replaceAll('"', '');
    expect(overlay('onboot/001-two')).toContain('source:/containers/onboot/000-one/lower,options:[bind]');
    for (const place of ['onboot/000-one', 'onshutdown/000-bye', 'services/web'])
      expect(overlay(place)).toContain('lowerdir=/containers/onboot/000-one/lower');
    expect(tree.nodes.get('containers/services/web/config.json')?.data.toString()).toContain(
      '"source": "/containers/volumes/data/merged"',
    );
  });
});
