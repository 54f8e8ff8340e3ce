import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, isRunning, type ProcessIdentity } from '../process/identity.ts';

/**
 * Makes a folder that belongs to this process, and removes those of the same prefix
 * whose owners have ended without removing them.
 */
export async function createOwnedFolder(parent: string, prefix: string): Promise<string> {
  for (const entry of await readdir(parent)) {
    if (!entry.startsWith(prefix)) continue;
    const folder = join(parent, entry);
    const owner = await readOwner(folder);
    if (owner !== undefined && !isRunning(owner)) await rm(folder, { recursive: true, force: true });
  }
  const folder = await mkdtemp(join(parent, prefix));
  await writeFile(join(folder, 'owner.json'), JSON.stringify(identify(process.pid)));
  return folder;
}

/** Undefined where nothing complete is written yet: somebody may be about to. */
async function readOwner(folder: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, 'owner.json'), 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
