import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { directory, file, program, symlink } from '../../e2e/images/entry.ts';
import { OciLayout } from '../../e2e/images/oci-layout.ts';
import { type WrittenImage, writeImage, writeIndex } from '../../e2e/images/oci-writer.ts';
import { type RegistryService, startRegistry } from '../../e2e/services/registry.ts';
import { RegistryClient } from './client.ts';
import type { FileNode } from './file-tree.ts';
import { flatten } from './flatten.ts';
import { LayerStore } from './layer-store.ts';
import { parseReference } from './reference.ts';
import { CredentialStore } from './registry/credentials.ts';
import { parseDockerConfig } from './registry/docker-config.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };
const signal = AbortSignal.timeout(600_000);

let folder: string;
let layout: OciLayout;
let registry: RegistryService;
let image: WrittenImage;
let index: WrittenImage;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oci-client-'));
  layout = new OciLayout(folder);
  registry = await startRegistry({ authentication: true }, undefined, signal);
  const layers = [
    { entries: [program('bin/sh', 'shell'), file('etc/old', 'old'), file('big', randomBytes(3 << 20))] },
    { entries: [file('etc/.wh.old', ''), file('etc/new', 'new')], compression: 'zstd' as const },
    { entries: [directory('lib'), symlink('lib/link', '../bin/sh')], compression: 'none' as const },
  ];
  image = await writeImage(layout, { layers, config: { Cmd: ['/bin/sh'], Env: ['A=b'] } });
  const docker = await writeImage(layout, { layers, mediaTypes: 'docker' });
  const arm = await writeImage(layout, {
    layers: layers.slice(0, 1),
    architecture: 'arm64',
    mediaTypes: 'docker',
  });
  index = await writeIndex(layout, [arm, docker], 'docker');
  await push(image, 'team/app', 'single');
  await push(index, 'team/app', 'multi');
});

afterAll(async () => {
  await registry.stop();
  await rm(folder, { recursive: true });
});

function authorization(): Record<string, string> {
  const { username, password } = registry.credentials ?? { username: '', password: '' };
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

/** Pushes with the registry's credentials (distribution-spec, "Push"). */
async function push({ content, descriptor }: WrittenImage, repository: string, tag: string): Promise<void> {
  const base = `http://${registry.host}/v2/${repository}`;
  const headers = authorization();
  for (const { digest, mediaType } of content) {
    const body = await readFile(layout.pathOf(digest));
    if (/manifest|index/.test(mediaType)) await putManifest(digest, mediaType, body);
    else {
      const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST', headers });
      const target = new URL(begun.headers.get('location') ?? '');
      target.searchParams.set('digest', digest);
      expect((await fetch(target, { method: 'PUT', body, headers })).status).toBe(201);
    }
  }
  await putManifest(tag, descriptor.mediaType, await readFile(layout.pathOf(descriptor.digest)));

  async function putManifest(name: string, mediaType: string, body: Buffer): Promise<void> {
    const type = { ...headers, 'content-type': mediaType };
    expect((await fetch(`${base}/manifests/${name}`, { method: 'PUT', body, headers: type })).status).toBe(
      201,
    );
  }
}

function client(credentials: 'right' | 'wrong' | 'none'): RegistryClient {
  const { username, password } = registry.credentials ?? { username: '', password: '' };
  const login = { username, password: credentials === 'right' ? password : 'wrong' };
  const auths = credentials === 'none' ? {} : { [registry.host]: login };
  return new RegistryClient({
    credentials: new CredentialStore([parseDockerConfig(JSON.stringify({ auths }), 'test')]),
  });
}

async function contentOf(node: FileNode | undefined): Promise<string> {
  if (node?.type !== 'file') return '';
  let text = '';
  for await (const part of node.body.spool.read(node.body.offset, node.size))
    text += Buffer.from(part).toString('latin1');
  return text;
}

describe('against the distribution registry', () => {
  it.each([
    ['single', () => image.descriptor.digest, undefined],
    ['multi', () => index.content.at(-1)?.digest, () => index.descriptor.digest],
  ])('pulls %s, layers applied', async (tag, digest, indexDigest) => {
    await using registryClient = client('right');
    const reference = parseReference(`${registry.host}/team/app:${tag}`);
    const resolved = await registryClient.resolve(reference, AMD64, signal);
    expect(resolved.digest).toBe(digest());
    expect(resolved.index).toBe(indexDigest?.());
    expect(await registryClient.resolveDigest(reference, signal)).toBe(indexDigest?.() ?? digest());
    await using store = new LayerStore({ source: registryClient, directory: folder });
    await using held = await store.hold(resolved, signal);
    const tree = flatten(held.layers);
    expect(Array.from(tree.nodes(), ({ path }) => path)).toEqual([
      'big',
      'bin',
      'bin/sh',
      'etc',
      'etc/new',
      'lib',
      'lib/link',
    ]);
    expect(await contentOf(tree.get('bin/sh'))).toBe('shell');
    expect(await contentOf(tree.get('etc/new'))).toBe('new');
    expect(tree.get('bin/sh')).toMatchObject({ mode: 0o755, uid: 0, type: 'file' });
  });

  it('pulls by tag and digest, the digest being what counts', async () => {
    await using registryClient = client('right');
    const reference = parseReference(`${registry.host}/team/app:multi@${image.descriptor.digest}`);
    expect((await registryClient.resolve(reference, AMD64, signal)).config.config).toEqual({
      Cmd: ['/bin/sh'],
      Env: ['A=b'],
    });
  });

  it('takes a blob up in its middle', async () => {
    await using registryClient = client('right');
    const [layer] = image.single?.layers ?? [];
    if (layer === undefined) throw new Error('no layer');
    const url = `http://${registry.host}/v2/team/app/blobs/${layer.digest}`;
    const rest = await fetch(url, { headers: { ...authorization(), range: 'bytes=1000-' } });
    expect([rest.status, rest.headers.get('content-range')]).toEqual([
      206,
      `bytes 1000-${layer.size - 1}/${layer.size}`,
    ]);
    await rest.body?.cancel();
    let received = 0;
    const reference = parseReference(`${registry.host}/team/app`);
    for await (const part of registryClient.openBlob(reference, layer, signal)) received += part.length;
    expect(received).toBe(layer.size);
  });

  it('says what is wrong', async () => {
    await using right = client('right');
    const resolve = (from: RegistryClient, name: string, architecture = 'amd64') =>
      from.resolve(parseReference(`${registry.host}/${name}`), { os: 'linux', architecture }, signal);
    await expect(resolve(right, 'team/app:gone')).rejects.toMatchObject({ code: 'ImageNotFound' });
    await expect(resolve(right, 'nobody/nothing')).rejects.toMatchObject({ code: 'ImageNotFound' });
    await expect(resolve(right, 'team/app:single', 'arm64')).rejects.toMatchObject({
      code: 'PlatformMissing',
    });
    await expect(resolve(right, 'team/app:multi', 'riscv64')).rejects.toMatchObject({
      code: 'PlatformMissing',
    });
    await using wrong = client('wrong');
    await expect(resolve(wrong, 'team/app:single')).rejects.toMatchObject({
      code: 'RegistryUnauthorized',
      message: expect.stringContaining('the credentials for it are wrong'),
    });
    await using none = client('none');
    await expect(resolve(none, 'team/app:single')).rejects.toMatchObject({
      code: 'RegistryUnauthorized',
      message: expect.stringContaining('there are no credentials for it'),
    });
  });
});
