import type { Command } from 'commander';
import { ANNOTATION_PAUSED, ANNOTATION_ROLLBACK, MACHINE_KIND } from '../../api/names.ts';
import { getMachine, MACHINES } from './objects.ts';
import { rollbackProgress } from './progress.ts';
import { rollbackRequest, rollbackToken } from './rollback-request.ts';
import {
  addClusterOptions,
  addOutputOption,
  type ClusterFlags,
  jsonText,
  type OutputFlags,
  type Session,
  withSession,
} from './session.ts';
import { parseNameOf } from './target.ts';
import { waitUntilDone } from './wait.ts';
import { addWaitOptions, type WaitFlags } from './wait-options.ts';

interface Flags extends ClusterFlags, OutputFlags, WaitFlags {
  readonly to: string;
}

/** Adds `rollback`: moves a machine back to a revision that is kept. */
export function registerRollback(plugin: Command): void {
  const command = plugin
    .command('rollback')
    .summary('move a machine back to an earlier revision')
    .description(
      'Asks for an earlier revision of a machine: image, kernel arguments, devices and all. It stays there until ' +
        'image or spec change, or until linuxkit.dev/update-requested-at asks for the present one.',
    )
    .argument('<machine>', 'name of the LinuxKitMachine')
    .option('--to <revision>', 'previous, or number or name of a revision as history lists them', 'previous');
  addWaitOptions(addOutputOption(addClusterOptions(command))).action((text: string, flags: Flags) => {
    const name = parseNameOf(MACHINE_KIND, text);
    return withSession(flags, (session) => rollback(session, name, flags));
  });
}

async function rollback(session: Session, name: string, flags: Flags): Promise<void> {
  const { client, namespace, signal } = session;
  const machine = await getMachine(session, name);
  const request = rollbackRequest(name, machine.status, flags.to);
  const token = rollbackToken(request.to, session.now());
  const patch = { metadata: { annotations: { [ANNOTATION_ROLLBACK]: token } } };
  await client.patch(MACHINES, { namespace, name }, patch, { signal, fieldManager: 'kubectl-linuxkit' });
  const paused = machine.metadata.annotations?.[ANNOTATION_PAUSED];
  if (paused !== undefined && paused !== 'false')
    session.say(`machine/${name} is paused: it is moved when that ends`);
  let outcome: string | undefined;
  if (flags.wait === true) {
    outcome = await waitUntilDone(
      session,
      async () => rollbackProgress((await getMachine(session, name)).status, token),
      { timeoutMs: flags.timeout, failure: 'RolloutFailed', what: `machine/${name}` },
    );
  }
  if (flags.output === 'json')
    session.print(
      jsonText({ namespace, machine: name, ...request, request: token, done: outcome !== undefined }),
    );
  else {
    const to =
      request.revision === undefined ? 'the previous revision' : `revision ${request.revision.number}`;
    session.print(`machine/${name}: ${outcome ?? `${to} was asked for`}\n`);
  }
}
