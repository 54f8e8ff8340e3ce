import { readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from './wait.ts';

/** Where cgroup hierarchies are mounted: one folder in version 2, one for each controller in version 1. */
export function parseCgroupMounts(mountinfo: string): readonly string[] {
  const points: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    const type = after?.split(' ')[0];
    const point = before?.split(' ')[4];
    if (point !== undefined && (type === 'cgroup' || type === 'cgroup2')) points.push(point);
  }
  return points;
}

/** The cgroup folders called `name` in all hierarchies. */
export async function cgroupFolders(name: string): Promise<readonly string[]> {
  const mounts = parseCgroupMounts(await readFile('/proc/self/mountinfo', 'utf8'));
  const folders: string[] = [];
  for (const mount of mounts) {
    const folder = join(mount, name);
    if ((await subfolders(folder)) !== undefined) folders.push(folder);
  }
  return folders;
}

/**
 * Removes the cgroups called `name` in all hierarchies, with those below. Their
 * processes must be ending: a cgroup stays busy until the kernel has let go of the last.
 */
export async function removeCgroups(name: string, signal: AbortSignal): Promise<void> {
  for (const folder of await cgroupFolders(name)) {
    await waitFor(
      `the removal of cgroup ${folder}`,
      async () => {
        await removeTree(folder);
        return true;
      },
      { signal, timeout: 20_000 },
    );
  }
}

async function removeTree(folder: string): Promise<void> {
  const children = await subfolders(folder);
  if (children === undefined) return;
  for (const child of children) await removeTree(join(folder, child));
  await rmdir(folder);
}

async function subfolders(folder: string): Promise<readonly string[] | undefined> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
