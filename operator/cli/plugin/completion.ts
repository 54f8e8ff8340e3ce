import { Argument, type Command } from 'commander';
import { IMAGES } from '../../controllers/image/objects.ts';
import { NAMESPACES } from '../../runtime/resources.ts';
import { type Candidate, clusterFlagsIn, type Need, needOf } from './completion-need.ts';
import { completionScript, SHELLS, type Shell } from './completion-scripts.ts';
import { artifactsOf, revisionsOf } from './history-view.ts';
import { getImage, getMachine, MACHINES, readyOf } from './objects.ts';
import { type Session, withSession } from './session.ts';
import { printable } from './table.ts';

/** Nobody waits longer for a list of candidates. */
const DEADLINE_MS = 3_000;

/** Adds `completion`: prints a script for a shell. */
export function registerCompletion(plugin: Command): void {
  plugin
    .command('completion')
    .summary('print a script with which a shell completes kubectl-linuxkit')
    .description(
      'Prints a script with which a shell completes subcommands, options and names of objects. `kubectl linuxkit` ' +
        'itself is completed by the completion of kubectl when kubectl_complete-linuxkit is on PATH.\n\n' +
        '  bash: source <(kubectl linuxkit completion bash)\n' +
        '  zsh:  source <(kubectl linuxkit completion zsh)\n' +
        '  fish: kubectl linuxkit completion fish | source',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .action((shell: Shell) => void process.stdout.write(completionScript(shell)));
}

/**
 * Adds what shells, and kubectl, call to complete: candidates a line, a tab before what explains one,
 * and a last line that says whether files are to be completed (Cobra's `__complete`, as kubectl has it).
 */
export function registerComplete(plugin: Command): void {
  plugin
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async (words: readonly string[]) => {
      const need = needOf(plugin, words);
      // Of --option=value, which bash gives in parts and others whole, the value is being written.
      const partial = (words.at(-1) ?? '').replace(/^--[a-z-]+=/, '');
      const candidates = (await candidatesOf(need, words)).filter(({ value }) => value.startsWith(partial));
      const lines = candidates.map(({ value, hint }) =>
        hint === '' ? value : `${value}\t${printable(hint)}`,
      );
      process.stdout.write(`${[...lines, need.kind === 'files' ? ':0' : ':4'].join('\n')}\n`);
    });
}

async function candidatesOf(need: Need, words: readonly string[]): Promise<readonly Candidate[]> {
  if (need.kind === 'fixed') return need.candidates;
  if (!needsCluster(need)) return [];
  let found: readonly Candidate[] = [];
  try {
    await withSession(clusterFlagsIn(words), async (session) => {
      const signal = AbortSignal.any([session.signal, AbortSignal.timeout(DEADLINE_MS)]);
      found = await inCluster(need, { ...session, signal });
    });
  } catch {
    // A message in the middle of a command line helps nobody: there are no candidates then.
  }
  return found;
}

type ClusterNeed = Exclude<Need, { kind: 'fixed' } | { kind: 'files' | 'nothing' }>;

function needsCluster(need: Exclude<Need, { kind: 'fixed' }>): need is ClusterNeed {
  return need.kind !== 'files' && need.kind !== 'nothing';
}

async function inCluster(need: ClusterNeed, session: Session): Promise<readonly Candidate[]> {
  const { client, namespace, signal } = session;
  switch (need.kind) {
    case 'namespaces': {
      const { items } = await client.list(NAMESPACES, { signal, metadataOnly: true });
      return items.map(({ metadata }) => ({ value: metadata.name, hint: '' }));
    }
    case 'images':
    case 'machines':
    case 'both': {
      const [images, machines] = await Promise.all([
        need.kind === 'machines' ? undefined : client.list(IMAGES, { namespace, signal }),
        need.kind === 'images' ? undefined : client.list(MACHINES, { namespace, signal }),
      ]);
      const prefix = need.kind === 'both';
      return [
        ...(images?.items ?? []).map((each) => ({
          value: `${prefix ? 'image/' : ''}${each.metadata.name}`,
          hint: readyOf(each.status)?.reason ?? '',
        })),
        ...(machines?.items ?? []).map((each) => ({
          value: `${prefix ? 'machine/' : ''}${each.metadata.name}`,
          hint: readyOf(each.status)?.reason ?? '',
        })),
      ];
    }
    case 'revisions': {
      const revisions = revisionsOf(await getMachine(session, need.machine));
      return [
        { value: 'previous', hint: 'the last healthy one, or the one before' },
        ...revisions.map(({ number, standing, cause }) => ({
          value: String(number),
          hint: `${standing}${cause === undefined ? '' : `, ${cause}`}`,
        })),
      ];
    }
    case 'digests':
      // Without its algorithm: a colon ends a word in bash.
      return artifactsOf(await getImage(session, need.image)).map(({ artifact }) => ({
        value: artifact.digest.replace(/^sha256:/, '').slice(0, 16),
        hint: artifact.created,
      }));
    default:
      return need satisfies never;
  }
}
