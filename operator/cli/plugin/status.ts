import type { Command } from 'commander';
import type { KubeObject, Stored } from '../../runtime/objects.ts';
import { type Found, findTargets, listAll } from './objects.ts';
import {
  addClusterOptions,
  addOutputOption,
  type ClusterFlags,
  jsonText,
  type OutputFlags,
  withSession,
} from './session.ts';
import { imageDetail, machineDetail, statusOverview } from './status-view.ts';
import { parseTarget } from './target.ts';

interface Flags extends ClusterFlags, OutputFlags {
  readonly allNamespaces?: true;
}

/** Adds `status`: what is built, and what runs. */
export function registerStatus(plugin: Command): void {
  const command = plugin
    .command('status')
    .summary('show what is built and what runs')
    .description('Shows images and machines, a row each; those that are named, in detail.')
    .argument('[names...]', 'image/NAME, machine/NAME, or NAME for both')
    .option('-A, --all-namespaces', 'of all namespaces');
  addOutputOption(addClusterOptions(command)).action((names: readonly string[], flags: Flags) => {
    const targets = names.map(parseTarget);
    return withSession(flags, async (session) => {
      const everything = targets.length === 0;
      const namespaces = everything && flags.allNamespaces === true;
      const found = everything ? await listAll(session, namespaces) : await findTargets(session, targets);
      const view = { now: session.now(), paint: session.paint, namespaces };
      if (flags.output === 'json') session.print(jsonText(statusDocument(found)));
      else if (everything) session.print(statusOverview(found, view));
      else {
        const details = [
          ...found.images.map((image) => imageDetail(image, view)),
          ...found.machines.map((machine) => machineDetail(machine, view)),
        ];
        session.print(details.join('\n'));
      }
    });
  });
}

/** For programs: each object's name, generation and status, as the API server has it. */
export function statusDocument({ images, machines }: Found) {
  const brief = ({ metadata, status }: Stored<KubeObject> & { readonly status?: unknown }) => ({
    namespace: metadata.namespace,
    name: metadata.name,
    generation: metadata.generation,
    status: status ?? {},
  });
  return { images: images.map(brief), machines: machines.map(brief) };
}
