import type { Command } from 'commander';
import { LABEL_MACHINE } from '../../api/names.ts';
import { SYSTEM_CLOCK, sleep } from '../../runtime/clock.ts';
import type { Stored } from '../../runtime/objects.ts';
import type { Pod } from '../../runtime/resources.ts';
import { PluginError } from './error.ts';
import { getMachine } from './objects.ts';
import { copyLogWhenStarted, lineCount, podsOf } from './pod-log.ts';
import { addClusterOptions, type ClusterFlags, type Session, withSession } from './session.ts';
import { parseVirtualMachine } from './target.ts';

interface Flags extends ClusterFlags {
  readonly follow?: true;
  readonly tail?: number;
}

/** KubeVirt's container that copies the serial port (`logSerialConsole`). */
const CONTAINER = 'guest-console-log';
/** KubeVirt puts it on launcher pods: the name of the virtual machine. */
const LABEL_VM = 'vm.kubevirt.io/name';
/** How long a virtual machine may be between two instances before following it ends. */
const RESTART_DEADLINE_MS = 300_000;
const POLL_MS = 1_000;

/** Adds `console`: what a virtual machine has written to its serial console. */
export function registerConsole(plugin: Command): void {
  const command = plugin
    .command('console')
    .summary("print what a machine's virtual machine wrote to its serial console")
    .description(
      'Prints the serial console of a virtual machine as it was logged; it is read, not written. Followed, it goes ' +
        'on over restarts. For one to type into, see virtctl console.',
    )
    .argument('<machine>', 'NAME for its first virtual machine, NAME/ORDINAL for another')
    .option('-f, --follow', 'go on until interrupted')
    .option('--tail <lines>', 'only so many lines from the end', lineCount);
  addClusterOptions(command).action((text: string, flags: Flags) => {
    const { machine, ordinal } = parseVirtualMachine(text);
    return withSession(flags, (session) => showConsole(session, machine, ordinal ?? 0, flags));
  });
}

async function showConsole(session: Session, name: string, ordinal: number, flags: Flags): Promise<void> {
  const machine = await getMachine(session, name);
  const vm = `${name}-${ordinal}`;
  if (machine.spec?.logSerialConsole === false)
    throw new PluginError(
      'NothingYet',
      `machine/${name} does not log its console: spec.logSerialConsole is false`,
    );
  let pod: Stored<Pod> | undefined = await newestPod(session, name, vm);
  if (pod === undefined) {
    const row = machine.status?.machines?.find((each) => each.name === vm);
    const state = row === undefined ? 'there is no such virtual machine' : `it is ${row.phase}`;
    throw new PluginError('NothingYet', `virtual machine ${vm} has no pod: ${state}`);
  }
  const follow = flags.follow === true;
  for (let first = true; pod !== undefined; first = false) {
    session.say(`console of ${vm}, pod ${pod.metadata.name}`);
    await copyLogWhenStarted(session, {
      pod: pod.metadata.name,
      container: CONTAINER,
      follow,
      ...(first && flags.tail !== undefined ? { tail: flags.tail } : {}),
    });
    if (!follow) return;
    pod = await nextPod(session, name, vm, pod);
  }
}

/** The pod of the next instance; undefined when none comes in time. */
async function nextPod(
  session: Session,
  name: string,
  vm: string,
  before: Stored<Pod>,
): Promise<Stored<Pod> | undefined> {
  const deadline = performance.now() + RESTART_DEADLINE_MS;
  session.say(`the console of pod ${before.metadata.name} has ended; waiting for the next one`);
  while (performance.now() < deadline) {
    const pod = await newestPod(session, name, vm);
    if (pod !== undefined && pod.metadata.uid !== before.metadata.uid) return pod;
    await sleep(SYSTEM_CLOCK, POLL_MS, session.signal);
  }
  return undefined;
}

async function newestPod(session: Session, name: string, vm: string): Promise<Stored<Pod> | undefined> {
  return (await podsOf(session, `${LABEL_MACHINE}=${name},${LABEL_VM}=${vm}`))[0];
}
