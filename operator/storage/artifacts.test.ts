import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Digest } from '../oci/types.ts';
import {
  artifactsOf,
  listArtifacts,
  removeArtifact,
  removeImage,
  removeNamespaceCache,
} from './artifacts.ts';
import { FolderStore } from './folder/folder-store.ts';
import { artifactKey, memberKey } from './layout.ts';
import type { ObjectStore } from './store.ts';
import { deadline, listed, sourceOf } from './store-contract.ts';

const one = sha256Digest('1'.repeat(64));
const two = sha256Digest('2'.repeat(64));
const signal = deadline();

let root: string;
let store: FolderStore;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'artifacts-'));
  store = new FolderStore(root);
  const keys = [
    artifactKey('web', one, 'kernel'),
    artifactKey('web', one, 'build.json'),
    artifactKey('web', two, 'kernel'),
    artifactKey('web-2', one, 'build.json'),
    memberKey('0'.repeat(64)),
  ];
  for (const key of keys) await store.put(`tenant/${key}`, sourceOf(Buffer.from(key)), { signal });
  await store.put('tenant/web/README', sourceOf(Buffer.from('not ours')), { signal });
  await store.put(`other/${artifactKey('web', one, 'build.json')}`, sourceOf(Buffer.from('theirs')), {
    signal,
  });
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

const web = { namespace: 'tenant', image: 'web' };
const keysOf = async (of: ObjectStore) => (await listed(of, '')).map(({ key }) => key);

describe('listArtifacts', () => {
  it('tells complete artifacts from leftovers, of this image alone', async () => {
    const artifacts = await listArtifacts(store, web, { signal });
    expect(artifacts.map(({ digest, complete }) => ({ digest, complete }))).toEqual([
      { digest: one, complete: true },
      { digest: two, complete: false },
    ]);
    expect(artifacts[0]?.size).toBe(
      artifactKey('web', one, 'kernel').length + artifactKey('web', one, 'build.json').length,
    );
    expect(artifacts[0]?.modified).toBeInstanceOf(Date);
  });

  it('knows no age unless every object has one', () => {
    const objects = [
      { key: `t/web/${one.replace(':', '-')}/kernel`, size: 1, modified: new Date() },
      { key: `t/web/${one.replace(':', '-')}/cmdline`, size: 1 },
    ];
    expect(artifactsOf(objects, 't/web/')[0]?.modified).toBeUndefined();
  });
});

describe('removal', () => {
  it('takes one artifact', async () => {
    await removeArtifact(store, { ...web, digest: one }, { signal });
    expect((await listArtifacts(store, web, { signal })).map(({ digest }) => digest)).toEqual([two]);
  });

  it('takes the record before anything else', async () => {
    const deleted: string[][] = [];
    const watching = {
      list: store.list.bind(store),
      delete: async (keys: readonly string[], options: { readonly signal: AbortSignal }) => {
        deleted.push([...keys]);
        await store.delete(keys, options);
      },
    };
    await removeArtifact(watching, { ...web, digest: one }, { signal });
    expect(deleted[0]).toEqual([`tenant/${artifactKey('web', one, 'build.json')}`]);
  });

  it('takes a whole image, and neither its neighbour nor its namesake', async () => {
    await removeImage(store, web, { signal });
    expect(await keysOf(store)).toEqual([
      `other/${artifactKey('web', one, 'build.json')}`,
      `tenant/${memberKey('0'.repeat(64))}`,
      `tenant/${artifactKey('web-2', one, 'build.json')}`,
    ]);
  });

  it('takes the cache of one namespace', async () => {
    await removeNamespaceCache(store, 'tenant', { signal });
    expect((await keysOf(store)).filter((key) => key.includes('_cache'))).toEqual([]);
    expect(await keysOf(store)).toHaveLength(6);
  });
});
