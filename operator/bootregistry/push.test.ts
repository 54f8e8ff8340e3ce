import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PushClient } from '../oci/push-client.ts';
import { TestRegistry } from '../oci/registry/test-registry.ts';
import { FolderStore } from '../storage/folder/folder-store.ts';
import { artifactFolder } from '../storage/layout.ts';
import { deadline } from '../storage/store-contract.ts';
import { type ArtifactUnderTest, makeArtifact, storeArtifact } from './artifact-under-test.ts';
import { bootTag, pushBootImage } from './push.ts';

const signal = deadline();
let root: string;
let registry: TestRegistry;
let artifact: ArtifactUnderTest;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'push-'));
  registry = await TestRegistry.start();
  artifact = await makeArtifact(Buffer.alloc(100_000, 'kernel '), Buffer.alloc(300_000, 'initrd '));
  await storeArtifact(new FolderStore(root), { namespace: 'tenant', image: 'web' }, artifact, signal);
});

afterEach(async () => {
  await registry[Symbol.asyncDispose]();
  await rm(root, { recursive: true });
});

async function push(record = artifact.record): ReturnType<typeof pushBootImage> {
  await using client = new PushClient({ registry: registry.name, repository: 'boot' });
  return await pushBootImage(new FolderStore(join(root, 'tenant')), 'web', record, client, signal);
}

const puts = () => registry.requests.filter(({ method }) => method === 'PUT').map(({ path }) => path);

it('sends layers and configuration before the manifest that names them, and nothing twice', async () => {
  const { bootImage } = artifact.record;
  const bytes = artifact.layers.kernel.length + artifact.layers['initrd.img'].length;
  const tag = bootTag(bootImage.digest);
  expect(await push()).toEqual({
    digest: bootImage.digest,
    tag,
    bytesPushed: bytes + bootImage.config.length,
  });
  expect(puts().map((path) => /blobs|manifests\/.*$/.exec(path)?.[0])).toEqual([
    'blobs',
    'blobs',
    'blobs',
    `manifests/${bootImage.digest}`,
    `manifests/${tag}`,
  ]);
  expect(registry.pushed(tag)).toEqual(Buffer.from(bootImage.manifest));
  expect(await push()).toMatchObject({ bytesPushed: 0 });
  expect(puts()).toHaveLength(5);
});

it.each<[string, (bytes: Buffer) => Buffer, string]>([
  ['is damaged', (bytes) => bytes.fill('x', 9, 10), 'layer initrd.img'],
  ['has another size', (bytes) => Buffer.concat([bytes, bytes]), 'is not the one that its record speaks of'],
])('pushes no image of a stored object that %s', async (_, damage, says) => {
  const file = join(root, 'tenant', 'web', artifactFolder(artifact.record.digest), 'initrd.img');
  const bytes = await readFile(file);
  await rm(file);
  await writeFile(file, damage(bytes));
  await expect(push()).rejects.toThrow(says);
  expect(puts().filter((path) => path.includes('manifests'))).toEqual([]);
  expect(registry.pushed(artifact.record.bootImage.layers[1]?.digest ?? '')).toBeUndefined();
});

it('pushes nothing of a record that does not hold together', async () => {
  const bootImage = { ...artifact.record.bootImage, config: '{}' };
  await expect(push({ ...artifact.record, bootImage })).rejects.toMatchObject({ code: 'InvalidRecord' });
  expect(registry.requests).toEqual([]);
});
