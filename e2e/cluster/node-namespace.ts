import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Component } from '../process/component.ts';
import { childrenOf, isRunning, type ProcessIdentity, signalProcess } from '../process/identity.ts';
import { run } from '../process/run.ts';
import { waitFor } from '../process/wait.ts';
import { nodeInitScript } from './node-init.ts';

/** What a node's namespaces are kept by. */
export interface NodeProcesses {
  readonly keeper: ProcessIdentity;
  readonly init: ProcessIdentity;
}

const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid'];

/**
 * Creates the namespaces of a node and waits until its process 1 has prepared them.
 * `onKeeper` is told of the first process at once, so that it is never lost.
 */
export async function createNamespaces(
  folder: string,
  hostname: string,
  onKeeper: (keeper: ProcessIdentity) => Promise<void>,
  signal: AbortSignal,
): Promise<NodeProcesses> {
  const script = join(folder, 'init.sh');
  for (const each of ['var/upper', 'var/work', 'kubelet', 'etc', 'logs']) {
    await mkdir(join(folder, each), { recursive: true });
  }
  await writeFile(script, nodeInitScript(folder, hostname));
  await rm(join(folder, 'ready'), { force: true });
  const keeper = await Component.start({
    name: 'node',
    command: 'unshare',
    args: [...namespaces, '--fork', '--mount-proc', '--kill-child=SIGKILL', 'sh', script],
    logFile: join(folder, 'logs', 'node.log'),
    survives: true,
  });
  await onKeeper({ pid: keeper.record.pid, startTime: keeper.record.startTime });
  const init = await waitFor(
    'the namespaces of the node',
    async () => {
      await readFile(join(folder, 'ready'));
      return childrenOf(keeper.record.pid)[0];
    },
    { signal, timeout: 20_000, watched: [keeper], interval: 20 },
  );
  return { keeper: keeper.record, init };
}

/** Starts a long-running program inside a node, its output appended to a log outside. */
export async function startInside(
  init: ProcessIdentity,
  program: {
    readonly name: string;
    readonly command: string;
    readonly args: readonly string[];
    readonly logFile: string;
  },
  signal: AbortSignal,
): Promise<Component> {
  const outer = await Component.start({
    name: program.name,
    command: 'nsenter',
    args: [`--target=${init.pid}`, ...namespaces, '--', program.command, ...program.args],
    logFile: program.logFile,
    survives: true,
    env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
  });
  // A process enters a pid namespace only by being forked there: nsenter waits outside.
  const inner = await waitFor(`the process of ${program.name}`, () => childrenOf(outer.record.pid)[0], {
    signal,
    timeout: 10_000,
    watched: [outer],
    interval: 5,
  });
  return new Component({ ...inner, name: program.name, logFile: program.logFile });
}

/** Runs a command inside a node to its end and returns its output. */
export async function runInside(
  init: ProcessIdentity,
  command: string,
  args: readonly string[],
  options: { readonly signal: AbortSignal; readonly timeout?: number; readonly input?: string },
): Promise<string> {
  return await run('nsenter', [`--target=${init.pid}`, ...namespaces, '--', command, ...args], options);
}

/**
 * Kills process 1 of a node. The kernel kills all others before it lets go of it, and
 * its keeper ends only after that.
 */
export async function destroyNamespaces(
  keeper: ProcessIdentity,
  init: ProcessIdentity | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (init !== undefined) signalProcess(init, 'SIGKILL');
  else signalProcess(keeper, 'SIGKILL');
  await waitFor('the end of the node', () => !isRunning(keeper) && (init === undefined || !isRunning(init)), {
    signal,
    timeout: 60_000,
    interval: 20,
  });
}
