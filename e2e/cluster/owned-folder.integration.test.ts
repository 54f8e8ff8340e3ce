import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createOwnedFolder } from './owned-folder.ts';

test('folders of ended processes are removed, all others kept', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'owned-'));
  try {
    const mine = await createOwnedFolder(parent, 'a-');
    for (const each of ['a-dead', 'a-new', 'b-dead']) await mkdir(join(parent, each));
    const dead = JSON.stringify({ pid: 1, startTime: -1 });
    await writeFile(join(parent, 'a-dead', 'owner.json'), dead);
    await writeFile(join(parent, 'b-dead', 'owner.json'), dead);
    const next = await createOwnedFolder(parent, 'a-');
    expect(existsSync(mine)).toBe(true);
    expect(new Set(await readdir(parent))).toEqual(
      new Set(['a-new', 'b-dead', mine, next].map((path) => path.slice(path.lastIndexOf('/') + 1))),
    );
  } finally {
    await rm(parent, { recursive: true });
  }
});
