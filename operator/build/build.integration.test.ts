import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImagePublisher, INIT_ENTRIES, moduleEntries } from '../../e2e/build/image-publisher.ts';
import { directory, file, program } from '../../e2e/images/entry.ts';
import { OciLayout } from '../../e2e/images/oci-layout.ts';
import { type RegistryService, startRegistry } from '../../e2e/services/registry.ts';
import { readInitramfs } from '../initramfs/reader.ts';
import { type UnpackedNode, type UnpackedTree, unpack } from '../initramfs/unpack.ts';
import { parseLinuxKit } from '../linuxkit/parse.ts';
import { RegistryClient } from '../oci/client.ts';
import { IMAGE_LIMITS } from '../oci/limits.ts';
import { FolderStore } from '../storage/folder/folder-store.ts';
import { BuildError } from './failure.ts';
import { type BuildResult, build } from './pipeline.ts';
import type { BuildProgress } from './progress.ts';
import type { BuildRecord, Compression } from './record.ts';

let folder: string;
let registry: RegistryService;
let images: ImagePublisher;
const references: Record<string, string> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'build-test-'));
  registry = await startRegistry();
  images = new ImagePublisher(new OciLayout(join(folder, 'layout')), registry.host);
  Object.assign(references, {
    kernel: await images.publishKernel('kernel', moduleEntries('6.1.0'), [file('ignored', 'x')]),
    oldKernel: await images.publishKernel('old-kernel', moduleEntries('4.9.31')),
    init: await images.publish('init', [INIT_ENTRIES, [file('usr/lib/apk/db/installed', 'P:one\n')]]),
    runc: await images.publish('runc', [
      [program('usr/bin/runc', 'runc'), program('usr/bin/sh', 'another shell')],
      { entries: [file('lib/apk/db/installed', 'P:two\n')], compression: 'zstd' },
    ]),
    task: await images.publish('task', [[program('bin/task', 'task')]], {
      Entrypoint: ['/bin/task'],
      Labels: { 'org.mobyproject.config': '{"capabilities": ["CAP_NET_ADMIN"], "readonly": true}' },
    }),
    service: await images.publish(
      'service',
      [
        [program('bin/service', 'service'), file('etc/old', 'old'), directory('data'), file('data/a', 'a')],
        {
          entries: [file('etc/.wh.old', ''), file('data/.wh..wh..opq', ''), file('data/b', 'b')],
          compression: 'none',
        },
      ],
      { Cmd: ['/bin/service'] },
    ),
  });
});

afterAll(async () => {
  await registry.stop();
  await rm(folder, { recursive: true });
});

const BASE = (): string => `
kernel: {image: "${references['kernel']}", cmdline: "console=ttyS0"}
init: ["${references['init']}", "${references['runc']}"]
onboot:
  - {name: task, image: "${references['task']}"}
services:
  - {name: web, image: "${references['service']}"}
  - {name: again, image: "${references['service']}", readonly: true}
`;

interface Options {
  readonly cache?: string;
  readonly compression?: 'auto' | Compression;
  readonly report?: (event: BuildProgress) => void;
  readonly found?: BuildRecord;
  readonly signal?: AbortSignal;
}

async function run(
  yaml: string,
  options: Options = {},
): Promise<BuildResult & { image: Buffer; tree: UnpackedTree }> {
  const workFolder = await mkdtemp(join(folder, 'work-'));
  await using client = new RegistryClient();
  const result = await build(
    {
      config: parseLinuxKit(yaml, { source: 'test.yml', allowSource: true, requireKernel: true }),
      architecture: 'amd64',
      compression: options.compression ?? 'auto',
      files: [],
    },
    {
      images: client,
      ...(options.cache === undefined ? {} : { cache: new FolderStore(options.cache) }),
      workFolder,
      signal: options.signal ?? AbortSignal.timeout(60_000),
      limits: IMAGE_LIMITS,
      report: options.report ?? (() => undefined),
      now: () => new Date('2026-01-01T00:00:00Z'),
      engine: 'test',
      findResult: async () => options.found,
    },
  );
  const image =
    result.files === undefined ? Buffer.alloc(0) : await readFile(result.files['initrd.img'].path);
  return { ...result, image, tree: unpack(readInitramfs(image)) };
}

function text(tree: UnpackedTree, path: string): string | undefined {
  return tree.nodes.get(path)?.data.toString();
}

function node(tree: UnpackedTree, path: string): UnpackedNode | undefined {
  return tree.nodes.get(path);
}

async function failure(yaml: string, options: Options = {}): Promise<BuildError> {
  try {
    await run(yaml, options);
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('the build succeeded');
}

describe('a build', () => {
  it('gives the machine that the configuration describes', async () => {
    const { tree, record, files, bytesPulled } = await run(BASE());
    expect(tree.lost).toEqual([]);
    expect(await readFile(files?.kernel.path ?? '', 'utf8')).toBe('a kernel');
    expect(record).toMatchObject({ architecture: 'amd64', compression: 'zstd', cmdline: 'console=ttyS0' });
    expect(record.inputs.map(({ location }) => location)).toEqual([
      'kernel',
      'init[0]',
      'init[1]',
      'onboot[0]',
      'services[0]',
      'services[1]',
    ]);
    expect(bytesPulled).toBeGreaterThan(0);

    // The kernel's modules go where the init image's link leads, and nothing is lost over it.
    expect(node(tree, 'lib')?.type).toBe('symlink');
    expect(text(tree, 'usr/lib/modules/6.1.0/virtio.ko')).toBe('module for 6.1.0');
    expect(text(tree, 'usr/lib/libc.so')).toBe('libc');
    expect([...tree.nodes.keys()].filter((path) => path === 'ignored' || path.startsWith('boot/'))).toEqual(
      [],
    );
    expect(node(tree, 'boot')?.type).toBe('directory');

    // Hard links stay what they are, but for the one that a later image replaces.
    expect(node(tree, 'usr/bin/ls')).toBe(node(tree, 'usr/bin/busybox'));
    expect(text(tree, 'usr/bin/sh')).toBe('another shell');
    expect(text(tree, 'usr/bin/busybox')).toBe('busybox');

    // Packages of all init images, where the link leads.
    expect(text(tree, 'usr/lib/apk/db/installed')).toBe('P:one\n\n\nP:two\n\n\n');
    expect(text(tree, 'etc/resolv.conf')).toBe('/run/resolvconf/resolv.conf');

    const task = 'containers/onboot/000-task';
    expect(text(tree, `${task}/rootfs/bin/task`)).toBe('task');
    expect(JSON.parse(text(tree, `${task}/config.json`) ?? '')).toMatchObject({
      process: { args: ['/bin/task'], capabilities: { effective: ['CAP_NET_ADMIN'] } },
      root: { path: 'rootfs', readonly: true },
    });
    const web = 'containers/services/web';
    expect(text(tree, `${web}/lower/bin/service`)).toBe('service');
    expect(node(tree, `${web}/lower/etc/old`)).toBeUndefined();
    expect(node(tree, `${web}/lower/data/a`)).toBeUndefined();
    expect(text(tree, `${web}/lower/data/b`)).toBe('b');
    const mounts = JSON.parse(text(tree, 'containers/services/again/runtime.json') ?? '') as {
      mounts: unknown[];
    };
    expect(mounts.mounts[0]).toMatchObject({ source: `/${web}/lower`, options: ['bind'] });
  });

  it('is the same, byte for byte, for the same inputs, and describes the same content in either compression', async () => {
    const first = await run(BASE());
    const second = await run(BASE());
    expect(second.image.equals(first.image)).toBe(true);
    expect(second.record).toEqual(first.record);
    const gzip = await run(BASE(), { compression: 'gzip' });
    expect(gzip.record.files['initrd.img'].uncompressedSha256).toBe(
      first.record.files['initrd.img'].uncompressedSha256,
    );
    expect(gzip.record.digest).not.toBe(first.record.digest);
    expect(gzip.image.readUInt16BE(0)).toBe(0x1f8b);
  });

  it('takes gzip for a kernel that knows nothing else', async () => {
    const { record } = await run(BASE().replace(references['kernel'] ?? '', references['oldKernel'] ?? ''));
    expect(record.compression).toBe('gzip');
  });

  it('gives the earlier result for the same inputs without pulling anything', async () => {
    const { record } = await run(BASE());
    const events: BuildProgress[] = [];
    const again = await run(BASE(), { found: record, report: (event) => void events.push(event) });
    expect(again).toMatchObject({ record, bytesPulled: 0 });
    expect(again.files).toBeUndefined();
    expect(events.some(({ kind }) => kind === 'member')).toBe(false);
  });

  it('adds files last, without touching the folders they lie in', async () => {
    const source = join(folder, 'source.txt');
    await writeFile(source, 'from this machine');
    const { tree } = await run(`${BASE()}
files:
  - {path: etc/docker/daemon.json, contents: "{}"}
  - {path: usr/bin/busybox, contents: mine, mode: "0700", uid: 7}
  - {path: lib/firmware/x.bin, contents: firmware}
  - {path: containers/services/web/lower/etc/extra, contents: extra}
  - {path: var/lib/copied, source: "${source}", mode: "0644"}
  - {path: etc/gone, source: /does/not/exist, optional: true}
  - {path: root/link, symlink: /etc/passwd}
`);
    expect(tree.lost).toEqual([]);
    expect(node(tree, 'etc')?.mode).toBe(0o755);
    expect(node(tree, 'etc/docker')?.mode).toBe(0o700);
    expect(node(tree, 'etc/docker/daemon.json')).toMatchObject({ mode: 0o600 });
    expect(node(tree, 'usr/bin/busybox')).toMatchObject({ mode: 0o700, uid: 7 });
    expect(text(tree, 'usr/bin/ls')).toBe('busybox');
    expect(text(tree, 'usr/lib/firmware/x.bin')).toBe('firmware');
    expect(text(tree, 'containers/services/web/lower/etc/extra')).toBe('extra');
    expect(node(tree, 'containers/services/web/lower/etc')?.mode).toBe(0o755);
    expect(text(tree, 'var/lib/copied')).toBe('from this machine');
    expect(node(tree, 'etc/gone')).toBeUndefined();
    expect(node(tree, 'root/link')?.type).toBe('symlink');
  });

  it('puts volumes with and without an image in their places', async () => {
    const { tree } = await run(`${BASE()}
volumes:
  - {name: empty}
  - {name: full, image: "${references['service']}"}
`);
    expect(tree.lost).toEqual([]);
    expect(
      ['empty', 'full'].flatMap((name) =>
        ['lower', 'tmp', 'merged'].map((part) => node(tree, `containers/volumes/${name}/${part}`)?.type),
      ),
    ).toEqual(Array.from({ length: 6 }, () => 'directory'));
    expect(text(tree, 'containers/volumes/full/lower/bin/service')).toBe('service');
  });
});

describe('a volume of format oci', () => {
  const volume = (more = ''): string => `${BASE()}
volumes:
  - {name: image, image: "${references['service']}", format: oci${more}}
`;
  const lower = 'containers/volumes/image/lower';

  it('holds the image itself as an OCI layout, whose blobs are what their names say', async () => {
    const cache = join(folder, 'layout-cache');
    const { tree, image, record } = await run(volume(', platforms: [linux/amd64]'), { cache });
    expect(tree.lost).toEqual([]);
    expect(text(tree, `${lower}/oci-layout`)).toContain('"imageLayoutVersion": "1.0.0"');
    const index = JSON.parse(text(tree, `${lower}/index.json`) ?? '') as { manifests: { digest: string }[] };
    const root = index.manifests[0]?.digest ?? '';
    expect(record.inputs.find(({ location }) => location === 'volumes[0]')?.digest).toBe(root);
    const blobs = [...tree.nodes].filter(([path]) => path.startsWith(`${lower}/blobs/sha256/`));
    // Index, manifest, configuration and two layers.
    expect(blobs).toHaveLength(5);
    for (const [path, { data, mode, mtime }] of blobs) {
      expect(path).toBe(`${lower}/blobs/sha256/${createHash('sha256').update(data).digest('hex')}`);
      expect([mode, mtime]).toEqual([0o644, 0]);
    }
    expect(tree.nodes.has(`${lower}/blobs/${root.replace(':', '/')}`)).toBe(true);
    expect(tree.nodes.has(`${lower}/etc`)).toBe(false);
    expect(node(tree, 'containers/volumes/image/tmp')?.type).toBe('directory');

    const again = await run(volume(', platforms: [linux/amd64]'), { cache });
    expect(again.image.equals(image)).toBe(true);
    expect(again.bytesPulled).toBe(0);
  });

  it('cannot be made for a platform that the image is not for', async () => {
    const error = await failure(volume(', platforms: [linux/riscv64]'));
    expect(error).toMatchObject({ step: 'resolve' });
    expect(error.message).toContain('there is no image for linux/riscv64');
  });
});

describe('a build that cannot be', () => {
  it('names an image that does not exist', async () => {
    const missing = `${registry.host}/nothing:1`;
    const error = await failure(BASE().replace(references['task'] ?? '', missing));
    expect(error).toMatchObject({ step: 'resolve', code: 'ImageNotFound' });
    expect(error.message).toContain(missing);
  });

  it('names a registry that does not answer', async () => {
    const error = await failure(BASE().replace(references['task'] ?? '', '127.0.0.1:1/x:1'));
    expect(error).toMatchObject({ step: 'resolve', code: 'RegistryUnreachable' });
  });

  it('names the entry that a file would bury', async () => {
    const error = await failure(`${BASE()}\nfiles: [{path: usr/bin, contents: x}]`);
    expect(error).toMatchObject({ step: 'assemble', code: 'AssemblyFailed' });
    expect(error.message).toMatch(/"usr\/bin\/.*would be lost.*"usr\/bin" is a file.*files/);
  });

  it('names what a kernel image lacks', async () => {
    const without = BASE().replace('cmdline:', 'binary: vmlinuz, cmdline:');
    expect((await failure(without)).message).toMatch(/no file vmlinuz at its root.*kernel\.binary/);
    const ucode = BASE().replace('cmdline:', 'ucode: intel.cpio, cmdline:');
    expect(await failure(ucode)).toMatchObject({ step: 'assemble', code: 'AssemblyFailed' });
  });

  it('does not use images that it was told to verify and cannot', async () => {
    const error = await failure(`${BASE()}\ntrust: {org: [linuxkit]}`);
    expect(error).toMatchObject({ step: 'verify', code: 'InputVerificationFailed' });
  });

  it('stops when it is told to', async () => {
    const error = await failure(BASE(), { signal: AbortSignal.abort() });
    expect(error.code).toBe('Cancelled');
  });
});

describe('the cache', () => {
  const fresh = async (): Promise<string> => {
    const path = await mkdtemp(join(folder, 'cache-'));
    await mkdir(path, { recursive: true });
    return path;
  };
  const entries = async (cache: string): Promise<string[]> => {
    const members = join(cache, '_cache', 'members');
    return (await readdir(members))
      .filter((name) => !name.startsWith('.'))
      .map((name) => join(members, name));
  };

  it('makes the same image without pulling a layer', async () => {
    const cache = await fresh();
    const cold = await run(BASE(), { cache });
    const events: BuildProgress[] = [];
    const warm = await run(BASE(), { cache, report: (event) => void events.push(event) });
    expect(warm.bytesPulled).toBe(0);
    expect(warm.image.equals(cold.image)).toBe(true);
    expect(events.filter((event) => event.kind === 'warning')).toEqual([]);
    expect(events.filter((event) => event.kind === 'member' && !event.cached)).toMatchObject([
      { name: 'files' },
    ]);
  });

  it('is used for all that has not changed', async () => {
    const cache = await fresh();
    await run(BASE(), { cache });
    const { bytesPulled, tree } = await run(`${BASE()}\nfiles: [{path: etc/motd, contents: hello}]`, {
      cache,
    });
    expect(bytesPulled).toBe(0);
    expect(text(tree, 'etc/motd')).toBe('hello');
    const other = await images.publish('other', [[program('bin/other', 'other')]], { Cmd: ['/bin/other'] });
    const changed: string[] = [];
    const report = (event: BuildProgress): void => {
      if (event.kind === 'member' && !event.cached) changed.push(event.name);
    };
    await run(BASE().replace(references['task'] ?? '', other), { cache, report });
    expect(changed.sort()).toEqual(['files', 'onboot[0]']);
  });

  it.each([
    [
      'a flipped bit',
      async (path: string) => {
        const bytes = await readFile(path);
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        await writeFile(path, bytes);
      },
    ],
    ['a missing end', async (path: string) => truncate(path, 10)],
    ['a missing entry', async (path: string) => rm(path)],
    ['more than was there', async (path: string) => writeFile(path, 'x', { flag: 'a' })],
  ])('makes anew what has %s, and then has it whole', async (_, damage) => {
    const cache = await fresh();
    const { image } = await run(BASE(), { cache });
    for (const path of await entries(cache)) await damage(path);
    const again = await run(BASE(), { cache });
    expect(again.image.equals(image)).toBe(true);
    const mended = await run(BASE(), { cache });
    expect(mended.image.equals(image)).toBe(true);
    expect(mended.bytesPulled).toBe(0);
  });

  it('can be shared by builds that run at the same time', async () => {
    const cache = await fresh();
    const results = await Promise.all(Array.from({ length: 4 }, () => run(BASE(), { cache })));
    for (const { image } of results) expect(image.equals(results[0]?.image ?? Buffer.alloc(0))).toBe(true);
    expect((await run(BASE(), { cache })).bytesPulled).toBe(0);
  });
});
