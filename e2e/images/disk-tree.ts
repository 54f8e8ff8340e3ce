import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { Entry } from './entry.ts';

/**
 * The entries of a folder on disk, placed below `at` in the image, owned by root, in name
 * order. `keep` sees the path relative to the folder; a folder it refuses is not entered.
 */
export async function entriesOfFolder(
  folder: string,
  at: string,
  keep: (path: string) => boolean = () => true,
): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const visit = async (inside: string): Promise<void> => {
    const names = await readdir(join(folder, inside));
    for (const name of names.sort()) {
      const path = inside === '' ? name : `${inside}/${name}`;
      if (!keep(path)) continue;
      const disk = join(folder, path);
      const place = at === '' ? path : `${at}/${path}`;
      const stat = await lstat(disk);
      const mode = stat.mode & 0o7777;
      if (stat.isDirectory()) {
        entries.push({ type: 'directory', path: place, mode });
        await visit(path);
      } else if (stat.isSymbolicLink()) {
        entries.push({ type: 'symlink', path: place, target: await readlink(disk) });
      } else if (stat.isFile()) {
        entries.push({ type: 'file', path: place, mode, content: { disk } });
      }
    }
  };
  await visit('');
  return entries;
}
