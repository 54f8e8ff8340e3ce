import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ComponentRecord } from '../process/component.ts';
import type { ProcessIdentity } from '../process/identity.ts';
import { Failure } from '../progress/failure.ts';
import { cacheFolder } from '../tools/cache.ts';
import type { ClusterNetwork } from './network.ts';

/** How a component of a node is started again, and which process it is now. */
export interface NodeComponentState {
  readonly command: string;
  readonly args: readonly string[];
  readonly record: ComponentRecord;
}

/** What is written down of a running instance, so that another process can find it. */
export interface InstanceState {
  readonly name: string;
  /** The unshare(1) that waits for process 1 of the node, and that process 1. */
  readonly keeper: ProcessIdentity;
  readonly init: ProcessIdentity | undefined;
  readonly network: ClusterNetwork | undefined;
  readonly components: Readonly<Record<string, NodeComponentState>>;
  /** True once the node was ready for the first time. */
  readonly complete: boolean;
}

/**
 * The folder of an instance.
 * @throws Failure `NameTaken` for a name that cannot be a host name, control group and folder at once.
 */
export function instanceFolder(name: string): string {
  if (!/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new Failure('NameTaken', `${JSON.stringify(name)} cannot name a local cluster`, {
      advice: 'use at most 32 lower-case letters, digits and hyphens, beginning with a letter',
    });
  }
  return join(cacheFolder(), 'instances', name);
}

/** The lock that whoever starts or removes an instance holds. */
export function instanceLock(name: string): string {
  return `${instanceFolder(name)}.lock`;
}

/** The control group below which an instance's pods are. */
export function instanceCgroup(name: string): string {
  return `linuxkit-operator-${name}`;
}

/** Reads what is known of an instance; undefined when there is none. */
export async function readState(name: string): Promise<InstanceState | undefined> {
  try {
    return JSON.parse(await readFile(join(instanceFolder(name), 'state.json'), 'utf8')) as InstanceState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes the state in one step, so that a reader never sees half of it. */
export async function writeState(state: InstanceState): Promise<void> {
  const folder = instanceFolder(state.name);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'state.json.new'), `${JSON.stringify(state, null, 2)}\n`);
  await rename(join(folder, 'state.json.new'), join(folder, 'state.json'));
}
