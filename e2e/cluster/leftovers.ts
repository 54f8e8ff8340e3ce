import { access } from 'node:fs/promises';
import { cgroupFolders } from '../process/cgroups.ts';
import { mountPointsBelow } from '../process/mounts.ts';
import { processesNaming } from '../process/search.ts';
import { instanceCgroup, instanceFolder } from './instance.ts';
import { interfacesOf } from './network.ts';

/**
 * What is still there of an instance: processes, mounts, interfaces, control groups,
 * its folder. Empty after a complete stop. It looks at the machine, not at notes.
 */
export async function leftovers(name: string, signal: AbortSignal): Promise<readonly string[]> {
  const folder = instanceFolder(name);
  const found: string[] = [];
  for (const each of await processesNaming(`${folder}/`)) found.push(`process ${each.pid}: ${each.command}`);
  for (const each of await mountPointsBelow(folder)) found.push(`mount ${each}`);
  for (const each of await interfacesOf(name, signal)) found.push(`interface ${each}`);
  for (const each of await cgroupFolders(instanceCgroup(name))) found.push(`cgroup ${each}`);
  if (await exists(folder)) found.push(`folder ${folder}`);
  return found;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
