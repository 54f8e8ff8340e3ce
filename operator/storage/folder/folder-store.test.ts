import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deadline, describeStoreContract, sha256, sourceOf } from '../store-contract.ts';
import { FolderStore } from './folder-store.ts';
import { sidecarPath } from './sidecar.ts';

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'folder-store-'));
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

describeStoreContract('FolderStore', { open: async () => new FolderStore(join(root, 'contract')), runs: 50 });

describe('FolderStore on disk', () => {
  const signal = deadline();

  it('uses the layout of the bucket', async () => {
    const store = new FolderStore(join(root, 'layout'));
    await store.put('tenant/web/kernel', sourceOf(Buffer.from('k')), { signal });
    expect((await stat(join(root, 'layout/tenant/web/kernel'))).size).toBe(1);
  });

  it('leaves no transfer behind, whether it succeeded or failed', async () => {
    const store = new FolderStore(join(root, 'incoming'));
    await store.put('a', sourceOf(Buffer.from('a')), { signal });
    await store.put('b', sourceOf(Buffer.from('b'), { size: 7 }), { signal }).catch(() => {});
    expect(await readdir(join(root, 'incoming/.incoming'))).toEqual([]);
  });

  it('removes what a killed transfer left a day ago, and not one that may be under way', async () => {
    const incoming = join(root, 'swept/.incoming');
    await mkdir(incoming, { recursive: true });
    for (const name of ['old', 'young']) await writeFile(join(incoming, name), 'part');
    const twoDaysAgo = Date.now() / 1000 - 2 * 86_400;
    await utimes(join(incoming, 'old'), twoDaysAgo, twoDaysAgo);
    await new FolderStore(join(root, 'swept')).put('a', sourceOf(Buffer.from('a')), { signal });
    expect(await readdir(incoming)).toEqual(['young']);
  });

  it('gives a file that may be linked another name, and copies what may not', async () => {
    const store = new FolderStore(join(root, 'linked'));
    const file = join(root, 'part');
    await writeFile(file, 'bytes of a part');
    const source = sourceOf(Buffer.from('bytes of a part'));
    expect(await store.put('a', { ...source, linkable: file }, { signal })).toBe('created');
    expect(await store.put('b', { ...source, linkable: join(root, 'missing') }, { signal })).toBe('created');
    const [original, a, b] = await Promise.all(
      [file, join(root, 'linked/a'), join(root, 'linked/b')].map((path) => stat(path)),
    );
    expect(a?.ino).toBe(original?.ino);
    expect(b?.ino).not.toBe(original?.ino);
    // The first name goes with the work folder; the object stays what it was.
    await rm(file);
    expect(await store.head('a', { signal })).toMatchObject({ sha256: source.sha256, size: source.size });
    expect(await store.put('a', { ...source, linkable: file }, { signal })).toBe('exists');
  });

  it('leaves no empty folder behind when the last object of it goes', async () => {
    const store = new FolderStore(join(root, 'pruned'));
    await store.put('a/b/c', sourceOf(Buffer.from('c')), { signal });
    await store.delete(['a/b/c'], { signal });
    expect((await readdir(join(root, 'pruned'))).filter((name) => !name.startsWith('.'))).toEqual([]);
  });

  it('takes the sum anew when the file is not the one that the sidecar speaks of', async () => {
    const store = new FolderStore(join(root, 'stale'));
    await store.put('a', sourceOf(Buffer.from('before')), { signal });
    await writeFile(join(root, 'stale/a'), 'after!');
    await utimes(join(root, 'stale/a'), 1, 1);
    expect(await store.head('a', { signal })).toMatchObject({ sha256: sha256(Buffer.from('after!')) });
  });

  it('gives the sum with a file that nobody touched, and after a change only when it is told', async () => {
    const store = new FolderStore(join(root, 'local'));
    await store.put('a', sourceOf(Buffer.from('content')), { signal });
    const path = join(root, 'local/a');
    expect(await store.localFile('a')).toMatchObject({ path, sha256: sha256(Buffer.from('content')) });
    expect(await store.localFile('b')).toBeUndefined();

    // As long, and as old as ever by the time that anybody can set.
    const { atime, mtime } = await stat(path);
    await writeFile(path, 'rotten!');
    await utimes(path, atime, mtime);
    const changed = await store.localFile('a');
    expect(changed).toMatchObject({ path });
    expect(changed?.sha256).toBeUndefined();
    await changed?.confirm(sha256(Buffer.from('rotten!')));
    const confirmed = await store.localFile('a');
    expect(confirmed?.sha256).toBe(sha256(Buffer.from('rotten!')));

    await writeFile(path, 'content');
    await confirmed?.confirm(sha256(Buffer.from('rotten!')));
    expect((await store.localFile('a'))?.sha256).toBeUndefined();
  });

  it('answers without a sidecar, and writes it', async () => {
    const store = new FolderStore(join(root, 'foreign'));
    await store.put('a', sourceOf(Buffer.from('kept')), { signal });
    await rm(sidecarPath(join(root, 'foreign/a')));
    expect(await store.head('a', { signal })).toMatchObject({ sha256: sha256(Buffer.from('kept')) });
    expect((await stat(sidecarPath(join(root, 'foreign/a')))).isFile()).toBe(true);
  });

  it('fails at the end of an object whose bytes rotted behind an intact sidecar', async () => {
    const store = new FolderStore(join(root, 'rot'));
    await store.put('a', sourceOf(Buffer.from('good')), { signal });
    const path = join(root, 'rot/a');
    await utimes(path, 1000, 1000);
    await store.head('a', { signal });
    await writeFile(path, 'evil');
    await utimes(path, 1000, 1000);
    const { body } = await store.get('a', { signal });
    await expect(buffer(body)).rejects.toMatchObject({ code: 'ChecksumMismatch' });
  });
});
