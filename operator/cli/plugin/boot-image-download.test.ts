import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Artifact } from '../../api/image.ts';
import {
  type ArtifactUnderTest,
  makeArtifact,
  storeArtifact,
} from '../../bootregistry/artifact-under-test.ts';
import { ImageIndex } from '../../bootregistry/image-index.ts';
import { BootRegistry } from '../../bootregistry/server.ts';
import { FolderStore } from '../../storage/folder/folder-store.ts';
import { deadline } from '../../storage/store-contract.ts';
import { DOWNLOADED, downloadArtifact } from './boot-image-download.ts';
import { artifact as exampleArtifact } from './examples.ts';

let folder: string;
let made: ArtifactUnderTest;
let wanted: Artifact;

const recordText = () => Buffer.from(JSON.stringify(made.record));

function stored(bytes: Buffer): NonNullable<Artifact['sbom']> {
  return { key: 'k', size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'download-'));
  made = await makeArtifact(Buffer.alloc(100_001, 'kernel '), Buffer.alloc(300_000, 'initrd '));
  const { files, bootImage, digest, cmdline } = made.record;
  wanted = {
    ...exampleArtifact('a', '2026-11-24T11:30:00Z'),
    digest,
    // Of an image that was pushed elsewhere as well.
    bootImage: { reference: `registry.example/boot@${bootImage.digest}`, digest: bootImage.digest },
    kernel: { ...files.kernel, key: 'kernel' },
    initrd: { ...files['initrd.img'], key: 'initrd.img' },
    cmdline: { ...files.cmdline, key: 'cmdline', text: cmdline },
    sbom: stored(made.files['sbom.spdx.json']),
    provenance: stored(made.files['provenance.json']),
    record: stored(recordText()),
  };
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const download = (port: number, artifact = wanted) =>
  downloadArtifact(artifact, {
    origin: `http://127.0.0.1:${port}`,
    image: 'tenant/web',
    folder: join(folder, 'out'),
    signal: deadline(),
    report: () => undefined,
  });

/** Nothing of a download that failed stays. */
const left = async () => await readdir(folder);

describe('from a boot registry', () => {
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  let registry: BootRegistry;
  let port: number;

  beforeEach(async () => {
    const store = new FolderStore(join(folder, 'store'));
    await storeArtifact(store, { namespace: 'tenant', image: 'web' }, made, deadline());
    const index = new ImageIndex(store, { now: () => performance.now(), log: silent });
    registry = new BootRegistry({ index, store, log: silent });
    port = await registry.listen(0, '127.0.0.1');
  });

  afterEach(async () => {
    await registry.close();
  });

  it('the files come as they were built, also over those that are there', async () => {
    for (const _ of ['new', 'again']) {
      expect(await download(port)).toEqual(DOWNLOADED);
      expect((await readdir(join(folder, 'out'))).toSorted()).toEqual([...DOWNLOADED].toSorted());
      for (const [name, bytes] of Object.entries({ ...made.files, 'build.json': recordText() }))
        expect((await readFile(join(folder, 'out', name))).equals(bytes)).toBe(true);
      expect(JSON.parse(await readFile(join(folder, 'out', 'artifact.json'), 'utf8'))).toEqual(wanted);
      expect(await left()).toEqual(['out', 'store']);
    }
  });

  it('what no status tells of is left out, also if an earlier download left some', async () => {
    await download(port);
    await writeFile(join(folder, 'out', 'mine'), '');
    const { sbom: _, provenance: __, record: ___, ...older } = wanted;
    const files = ['kernel', 'initrd.img', 'cmdline', 'artifact.json'];
    expect(await download(port, older)).toEqual(files);
    expect((await readdir(join(folder, 'out'))).toSorted()).toEqual([...files, 'mine'].toSorted());
  });

  it.each([
    [
      'a kernel of another sum',
      { kernel: { key: 'k', size: 100_001, sha256: 'f'.repeat(64) } },
      'DigestMismatch',
    ],
    [
      'an initrd of another size',
      { initrd: { key: 'i', size: 299_999, sha256: 'f'.repeat(64) } },
      'DigestMismatch',
    ],
    [
      'another command line',
      { cmdline: { key: 'c', size: 1, sha256: 'f'.repeat(64), text: 'init=/bin/sh' } },
      'DigestMismatch',
    ],
  ])('%s is refused', async (_, changed, code) => {
    await expect(download(port, { ...wanted, ...changed })).rejects.toMatchObject({ code });
    expect(await left()).toEqual(['store']);
  });

  it.each([
    ['longer', -1, 'DigestMismatch'],
    ['shorter', 1, 'DownloadFailed'],
  ])('an SBOM that is %s than it was said to be is refused', async (_, more, code) => {
    const { key, size, sha256 } = stored(made.files['sbom.spdx.json']);
    const changed = { ...wanted, sbom: { key, size: size + more, sha256 } };
    await expect(download(port, changed)).rejects.toMatchObject({ code });
    expect(await left()).toEqual(['store']);
  });

  it('what is not in storage any more is told', async () => {
    const bootImage = exampleArtifact('a', '').bootImage;
    await expect(download(port, { ...wanted, bootImage })).rejects.toThrow('is not in storage any more');
    expect(await left()).toEqual(['store']);
  });
});

describe('from something else', () => {
  let server: Server | undefined;

  const serve = async (listener: RequestListener): Promise<number> => {
    const started = createServer(listener);
    server = started;
    await new Promise<void>((resolve) => void started.listen(0, '127.0.0.1', resolve));
    return (started.address() as AddressInfo).port;
  };

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  it.each<[string, string, RequestListener]>([
    ['another manifest', 'DigestMismatch', (_, response) => response.end('{}')],
    ['an endless one', 'DownloadFailed', (_, response) => response.end(Buffer.alloc(2_000_000))],
    ['a way elsewhere', 'DownloadFailed', (_, response) => response.writeHead(302, { location: '/' }).end()],
    ['a refusal', 'DownloadFailed', (_, response) => response.writeHead(500).end()],
    ['a cut connection', 'DownloadFailed', (request) => request.socket.destroy()],
  ])('%s is refused', async (_, code, listener) => {
    await expect(download(await serve(listener))).rejects.toMatchObject({ code });
    expect(await left()).toEqual([]);
  });

  it.each<[string, string, (layer: Buffer) => Buffer]>([
    ['a layer that ends early', 'DownloadFailed', (layer) => layer.subarray(0, -1)],
    ['a layer with more behind it', 'DigestMismatch', (layer) => Buffer.concat([layer, Buffer.alloc(1)])],
    [
      'a layer with another header',
      'DigestMismatch',
      (layer) => Buffer.concat([Buffer.from('x'), layer.subarray(1)]),
    ],
    [
      'a layer with another tail',
      'DigestMismatch',
      (layer) => Buffer.concat([layer.subarray(0, -1), Buffer.from('x')]),
    ],
  ])('%s is refused', async (_, code, change) => {
    const port = await serve((request, response) => {
      const { bootImage } = made.record;
      if (request.url?.includes('/manifests/') === true) response.end(bootImage.manifest);
      else response.end(change(made.layers.kernel));
    });
    await expect(download(port)).rejects.toMatchObject({ code });
    expect(await left()).toEqual([]);
  });
});
