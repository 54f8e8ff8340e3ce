import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCgroupMounts } from '../process/cgroups.ts';

/**
 * Makes the control group that the kubelet is given as its root, in all hierarchies: it
 * refuses to start where one is missing.
 */
export async function createCgroup(name: string): Promise<void> {
  const mounts = parseCgroupMounts(await readFile('/proc/self/mountinfo', 'utf8'));
  for (const mount of mounts) {
    if (mounts.length === 1) await delegateControllers(mount);
    await mkdir(join(mount, name), { recursive: true });
    // In version 1 a new cpuset has neither processors nor memory, and takes no process.
    for (const each of ['cpuset.cpus', 'cpuset.mems']) {
      const value = await readFile(join(mount, each), 'utf8').catch(() => undefined);
      if (value !== undefined && mounts.length > 1) await writeFile(join(mount, name, each), value);
    }
  }
}

/** Version 2: a controller exists in a group only if the group above hands it down. */
async function delegateControllers(mount: string): Promise<void> {
  const available = await readFile(join(mount, 'cgroup.controllers'), 'utf8');
  for (const controller of available.trim().split(/\s+/)) {
    // Some controllers cannot be handed down on some machines; the kubelet says which it misses.
    await writeFile(join(mount, 'cgroup.subtree_control'), `+${controller}`).catch(() => undefined);
  }
}
