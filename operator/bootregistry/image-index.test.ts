import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Digest } from '../oci/types.ts';
import { removeArtifact } from '../storage/artifacts.ts';
import { FolderStore } from '../storage/folder/folder-store.ts';
import { StorageError } from '../storage/store.ts';
import { deadline } from '../storage/store-contract.ts';
import { type ArtifactUnderTest, makeArtifact, storeArtifact } from './artifact-under-test.ts';
import { ImageIndex } from './image-index.ts';

const web = { namespace: 'tenant', image: 'web' };
const signal = deadline();

let root: string;
let store: FolderStore;
let lists: number;
let outage: boolean;
let now: number;
let warnings: string[];
let index: ImageIndex;
let artifact: ArtifactUnderTest;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'image-index-'));
  store = new FolderStore(root);
  [lists, outage, now, warnings] = [0, false, 0, []];
  artifact = await makeArtifact(Buffer.from('kernel'), Buffer.from('initrd'));
  const counting = {
    head: store.head.bind(store),
    get: store.get.bind(store),
    list: (prefix: string, options: { readonly signal: AbortSignal }) => {
      lists += 1;
      if (outage) throw new StorageError('StorageUnavailable', 'the storage is away');
      return store.list(prefix, options);
    },
  };
  const log = {
    warn: (message: string, fields?: object) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
  };
  index = new ImageIndex(counting, { now: () => now, log });
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

const manifestOf = (of: ArtifactUnderTest) => index.manifest(web, of.record.bootImage.digest);

describe('ImageIndex', () => {
  it('finds manifest, configuration and layers', async () => {
    await storeArtifact(store, web, artifact, signal);
    const { bootImage, digest } = artifact.record;
    expect(await manifestOf(artifact)).toMatchObject({
      kind: 'bytes',
      bytes: Buffer.from(bootImage.manifest),
    });
    const [kernel] = bootImage.layers;
    const objectKey = `tenant/web/${digest.replace(':', '-')}/kernel`;
    expect(await index.blob(web, kernel?.digest ?? digest)).toMatchObject({ kind: 'layer', objectKey });
    expect(await index.blob(web, digest)).toBeUndefined();
  });

  it('looks once for all who ask at the same time, and for a minute', async () => {
    await storeArtifact(store, web, artifact, signal);
    const answers = await Promise.all(Array.from({ length: 20 }, () => manifestOf(artifact)));
    expect(answers.every((found) => found?.kind === 'bytes')).toBe(true);
    now = 60_000;
    await manifestOf(artifact);
    expect(lists).toBe(1);
    now = 60_001;
    await manifestOf(artifact);
    expect(lists).toBe(2);
  });

  it('does not look again at once for what is not there, and finds it a second later', async () => {
    expect(await manifestOf(artifact)).toBeUndefined();
    await storeArtifact(store, web, artifact, signal);
    now = 999;
    expect(await manifestOf(artifact)).toBeUndefined();
    expect(lists).toBe(1);
    now = 1000;
    expect(await manifestOf(artifact)).toBeDefined();
    expect(lists).toBe(2);
  });

  it('serves nothing of an artifact without record', async () => {
    const key = `tenant/web/${artifact.record.digest.replace(':', '-')}/build.json`;
    await storeArtifact(store, web, artifact, signal);
    await store.delete([key], { signal });
    expect(await manifestOf(artifact)).toBeUndefined();
  });

  it('serves a removed artifact no longer than a minute, or until it is told', async () => {
    await storeArtifact(store, web, artifact, signal);
    await manifestOf(artifact);
    await removeArtifact(store, { ...web, digest: artifact.record.digest }, { signal });
    expect(await manifestOf(artifact)).toBeDefined();
    index.forget(web);
    expect(await manifestOf(artifact)).toBeUndefined();
  });

  it('keeps images of the same name in two namespaces apart', async () => {
    await storeArtifact(store, web, artifact, signal);
    expect(
      await index.manifest({ namespace: 'other', image: 'web' }, artifact.record.bootImage.digest),
    ).toBeUndefined();
  });

  it('serves the others when one record is broken, and says once which', async () => {
    const broken = await makeArtifact(Buffer.from('broken'), Buffer.from('initrd'));
    const lying = {
      ...broken,
      record: { ...broken.record, bootImage: { ...broken.record.bootImage, config: '{}' } },
    };
    await storeArtifact(store, web, lying, signal);
    const alien = await makeArtifact(Buffer.from('alien'), Buffer.from('initrd'));
    const elsewhere = { ...alien, record: { ...alien.record, digest: sha256Digest('9'.repeat(64)) } };
    await storeArtifact(
      store,
      web,
      { ...elsewhere, record: { ...elsewhere.record, schema: 'other' as 'linuxkit.dev/build/v1' } },
      signal,
    );
    await storeArtifact(store, web, artifact, signal);
    expect(await manifestOf(artifact)).toBeDefined();
    expect(await manifestOf(lying)).toBeUndefined();
    now = 5000;
    expect(await manifestOf(lying)).toBeUndefined();
    expect(warnings.toSorted()).toHaveLength(2);
    expect(warnings.join()).toContain('the manifest names another configuration');
    expect(warnings.join()).toContain('schema:');
  });

  it.each([
    ['missing', undefined, 'kernel is missing'],
    ['of another size', 'kernel of another build', 'kernel has 23 bytes'],
    ['of other bytes', 'KERNEL', 'kernel is not what its record says'],
  ])('does not serve an artifact whose kernel is %s', async (_, kernel, problem) => {
    const { kernel: whole, ...rest } = artifact.files;
    const files = kernel === undefined ? rest : { ...rest, kernel: Buffer.from(kernel) };
    expect(whole).toBeDefined();
    await storeArtifact(store, web, { ...artifact, files }, signal);
    expect(await manifestOf(artifact)).toBeUndefined();
    expect(warnings.join()).toContain(problem);
  });

  it('passes an outage on, and recovers', async () => {
    await storeArtifact(store, web, artifact, signal);
    outage = true;
    await expect(manifestOf(artifact)).rejects.toMatchObject({ code: 'StorageUnavailable' });
    outage = false;
    expect(await manifestOf(artifact)).toBeDefined();
  });

  it('still answers from what it knows while storage is away', async () => {
    await storeArtifact(store, web, artifact, signal);
    await manifestOf(artifact);
    outage = true;
    now = 30_000;
    expect(await manifestOf(artifact)).toBeDefined();
  });

  it('reads only so many images at once', async () => {
    const asked = Array.from({ length: 40 }, (_, at) =>
      index.manifest({ namespace: 'tenant', image: `image-${at}` }, artifact.record.digest),
    );
    const outcomes = await Promise.allSettled(asked);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(24);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'TOOMANYREQUESTS' });
  });
});
