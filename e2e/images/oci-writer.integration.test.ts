import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { ensureDocker } from '../docker/engine.ts';
import { run } from '../process/run.ts';
import { silentReporter } from '../progress/reporter.ts';
import { type RegistryService, startRegistry } from '../services/registry.ts';
import { cacheFolder } from '../tools/cache.ts';
import { busyboxPrograms } from './components/busybox.ts';
import { file } from './entry.ts';
import { archiveImage } from './oci-archive.ts';
import { OciLayout } from './oci-layout.ts';
import { isPublished, pushImage } from './oci-push.ts';
import { writeImage, writeIndex } from './oci-writer.ts';
import { Workshop } from './workshop.ts';

let folder: string;
let registry: RegistryService;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oci-writer-'));
  registry = await startRegistry();
});

afterAll(async () => {
  await registry?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('a registry takes an index of images, and serves what was pushed', async ({ signal }) => {
  const layout = new OciLayout(join(folder, 'pushed'));
  const images = [];
  for (const architecture of ['amd64', 'arm64']) {
    const layers = [
      { entries: [file('etc/architecture', architecture)] },
      { entries: [], compression: 'zstd' as const },
    ];
    images.push(await writeImage(layout, { layers, architecture }, signal));
  }
  const index = await writeIndex(layout, images);
  const target = { registry: registry.host, repository: 'some/index', tag: '1' };
  expect(await isPublished(index, target, signal)).toBe(false);
  await pushImage(index, target, signal);
  expect(await isPublished(index, target, signal)).toBe(true);

  const answer = await fetch(`http://${registry.host}/v2/some/index/manifests/1`, {
    headers: { accept: index.descriptor.mediaType },
  });
  expect(answer.headers.get('docker-content-digest')).toBe(index.descriptor.digest);
  expect(await answer.json()).toMatchObject({
    manifests: [
      { digest: images[0]?.descriptor.digest, platform: { os: 'linux', architecture: 'amd64' } },
      { digest: images[1]?.descriptor.digest, platform: { os: 'linux', architecture: 'arm64' } },
    ],
  });
  const [layer] = images[0]?.content ?? [];
  const blob = await fetch(`http://${registry.host}/v2/some/index/blobs/${layer?.digest}`);
  expect((await blob.arrayBuffer()).byteLength).toBe(layer?.size);
});

test('the same source gives the same digest', async ({ signal }) => {
  const source = { layers: [{ entries: [file('a/b', 'c')] }], config: { Cmd: ['/a/b'] } };
  const first = await writeImage(new OciLayout(join(folder, 'first')), source, signal);
  const second = await writeImage(new OciLayout(join(folder, 'second')), source, signal);
  expect(second.descriptor).toEqual(first.descriptor);
});

test('a container engine loads an archive and runs what is in it', async ({ signal }) => {
  const engine = await ensureDocker(silentReporter, signal);
  const docker = { env: engine.env, signal };
  const image = await writeImage(
    new OciLayout(join(folder, 'archived')),
    {
      layers: [
        { entries: await busyboxPrograms(new Workshop(cacheFolder(), signal)) },
        { entries: [file('etc/greeting', 'hello from a layer\n')] },
      ],
      config: { Entrypoint: ['/bin/cat'], Cmd: ['/etc/greeting'] },
    },
    signal,
  );
  const reference = 'linuxkit-operator.test/oci-writer:1';
  const load = spawn('docker', ['load'], {
    stdio: ['pipe', 'ignore', 'inherit'],
    env: { ...process.env, ...engine.env },
  });
  const ended = new Promise((resolve) => load.once('close', resolve));
  await pipeline(archiveImage(image, reference, signal), load.stdin);
  expect(await ended).toBe(0);
  try {
    expect(await run('docker', ['run', '--rm', '--network=none', reference], docker)).toBe(
      'hello from a layer\n',
    );
  } finally {
    await run('docker', ['rmi', reference], docker);
  }
});
