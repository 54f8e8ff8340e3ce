import type { Command } from 'commander';
import { artifactsOf, imageHistory, machineHistory, revisionsOf } from './history-view.ts';
import { findTargets } from './objects.ts';
import {
  addClusterOptions,
  addOutputOption,
  type ClusterFlags,
  jsonText,
  type OutputFlags,
  withSession,
} from './session.ts';
import { parseTarget } from './target.ts';

/** Adds `history`: artifacts of an image, revisions of a machine. */
export function registerHistory(plugin: Command): void {
  const command = plugin
    .command('history')
    .summary('list the artifacts of an image, or the revisions of a machine')
    .argument('<name>', 'image/NAME, machine/NAME, or NAME for both');
  addOutputOption(addClusterOptions(command)).action((name: string, flags: ClusterFlags & OutputFlags) => {
    const target = parseTarget(name);
    return withSession(flags, async (session) => {
      const { images, machines } = await findTargets(session, [target]);
      if (flags.output === 'json') {
        session.print(
          jsonText({ artifacts: images.flatMap(artifactsOf), revisions: machines.flatMap(revisionsOf) }),
        );
        return;
      }
      const view = { now: session.now(), paint: session.paint };
      const parts = [
        ...images.map((image) => imageHistory(image, view)),
        ...machines.map((machine) => machineHistory(machine, view)),
      ];
      session.print(parts.join('\n'));
    });
  });
}
