import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeCgroups } from '../process/cgroups.ts';
import { signalProcess } from '../process/identity.ts';
import { processesNaming } from '../process/search.ts';
import { waitFor } from '../process/wait.ts';
import { Failure } from '../progress/failure.ts';
import { instanceCgroup, instanceFolder, readState } from './instance.ts';
import { leftovers } from './leftovers.ts';
import { interfacesOf, removeInterface } from './network.ts';
import { destroyNamespaces } from './node-namespace.ts';

/**
 * Ends everything of an instance, running or not, wholly or partly there, and removes
 * its folder.
 * @throws Failure `Leftovers` naming what could not be removed.
 */
export async function removeInstance(name: string, signal: AbortSignal): Promise<void> {
  const folder = instanceFolder(name);
  const state = await readState(name);
  if (state !== undefined) await destroyNamespaces(state.keeper, state.init, signal);
  await killUnrecorded(folder, signal);
  for (const each of await interfacesOf(name, signal)) await removeInterface(each, signal);
  await removeCgroups(instanceCgroup(name), signal);
  await rm(folder, { recursive: true, force: true });
  const left = await leftovers(name, signal);
  if (left.length > 0) {
    throw new Failure('Leftovers', `local cluster ${name} is not wholly stopped`, {
      log: left.join('\n'),
      advice: 'end these by hand',
    });
  }
}

/**
 * A starting process that is killed at the wrong moment has not written down yet what
 * it started: process 1 of a node is known by the script it runs.
 */
async function killUnrecorded(folder: string, signal: AbortSignal): Promise<void> {
  const script = join(folder, 'init.sh');
  const remaining = await processesNaming(script);
  if (remaining.length === 0) return;
  for (const each of remaining) signalProcess(each, 'SIGKILL');
  await waitFor('the end of the node', async () => (await processesNaming(script)).length === 0, {
    signal,
    timeout: 60_000,
  });
}
