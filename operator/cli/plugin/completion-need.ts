import type { Command, Option } from 'commander';
import type { ClusterFlags } from './session.ts';

/** A word that may stand here, and what it means; the hint may be empty. */
export interface Candidate {
  readonly value: string;
  readonly hint: string;
}

/** What is to be completed. */
export type Need =
  | { readonly kind: 'fixed'; readonly candidates: readonly Candidate[] }
  | { readonly kind: 'files' | 'nothing' }
  | { readonly kind: 'images' | 'machines' | 'both' | 'namespaces' }
  | { readonly kind: 'revisions'; readonly machine: string }
  | { readonly kind: 'digests'; readonly image: string };

const NOTHING: Need = { kind: 'nothing' };

/** What the first argument of each subcommand names. */
const ARGUMENTS: Readonly<Record<string, 'images' | 'machines' | 'both'>> = {
  status: 'both',
  history: 'both',
  logs: 'images',
  rebuild: 'images',
  download: 'images',
  console: 'machines',
  rollback: 'machines',
};

/** `words` follow the name of the plugin; the last one is being written and may be empty. */
export function needOf(plugin: Command, words: readonly string[]): Need {
  const all = joined(words);
  const before = all.slice(0, -1);
  const partial = all.at(-1) ?? '';
  const command = plugin.commands.find((each) => each.name() === before[0]);
  if (before.length === 0) return { kind: 'fixed', candidates: subcommands(plugin) };
  if (command === undefined) return NOTHING;
  const { positional, open } = read(command, before.slice(1));
  if (open !== undefined) return valueOf(command.name(), open, positional[0]);
  if (partial.startsWith('-')) return { kind: 'fixed', candidates: optionsOf(command) };
  const choices = command.registeredArguments[positional.length]?.argChoices;
  if (choices !== undefined)
    return { kind: 'fixed', candidates: choices.map((value) => ({ value, hint: '' })) };
  const argument = ARGUMENTS[command.name()];
  if (argument === undefined || (positional.length > 0 && command.name() !== 'status')) return NOTHING;
  return { kind: argument };
}

/** The choice of a cluster among the words, complete or not. */
export function clusterFlagsIn(words: readonly string[]): ClusterFlags {
  const flags: Record<string, string> = {};
  const all = joined(words);
  for (const [index, word] of all.entries()) {
    const match = /^--(namespace|context|kubeconfig)(?:=(.*))?$/s.exec(word === '-n' ? '--namespace' : word);
    const value = match?.[2] ?? (index + 2 < all.length ? all[index + 1] : undefined);
    if (match?.[1] !== undefined && value !== undefined && value !== '') flags[match[1]] = value;
  }
  return flags;
}

/** bash ends words at `=`, and gives it as a word of its own. */
function joined(words: readonly string[]): readonly string[] {
  const all: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (word === '=' && all.at(-1)?.startsWith('--') === true) {
      all.push(`${all.pop()}=${words[index + 1] ?? ''}`);
      index += 1;
    } else all.push(word);
  }
  // The value is what is being written: `--output=` is then an option that waits for it.
  const last = /^(--[a-z-]+)=(.*)$/s.exec(all.at(-1) ?? '');
  if (last?.[1] !== undefined) all.splice(-1, 1, last[1], last[2] ?? '');
  return all;
}

/** The arguments among the words, and the option that waits for its value at their end. */
function read(
  command: Command,
  words: readonly string[],
): { readonly positional: readonly string[]; readonly open: Option | undefined } {
  const positional: string[] = [];
  let open: Option | undefined;
  for (const word of words) {
    if (open !== undefined) open = undefined;
    else if (word.startsWith('-'))
      open = command.options.find((option) => [option.long, option.short].includes(word) && option.required);
    else positional.push(word);
  }
  return { positional, open };
}

function valueOf(command: string, option: Option, argument: string | undefined): Need {
  if (option.argChoices !== undefined)
    return { kind: 'fixed', candidates: option.argChoices.map((value) => ({ value, hint: '' })) };
  const name = argument?.replace(/^.*\//, '');
  switch (option.long) {
    case '--namespace':
    case '--operator-namespace':
      return { kind: 'namespaces' };
    case '--kubeconfig':
      return { kind: 'files' };
    case '--to':
      if (command === 'download') return { kind: 'files' };
      return name === undefined ? NOTHING : { kind: 'revisions', machine: name };
    case '--digest':
      return name === undefined ? NOTHING : { kind: 'digests', image: name };
    default:
      return NOTHING;
  }
}

function subcommands(plugin: Command): readonly Candidate[] {
  return plugin
    .createHelp()
    .visibleCommands(plugin)
    .map((each) => ({ value: each.name(), hint: each.summary() }));
}

function optionsOf(command: Command): readonly Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, description }) => (long == null ? [] : [{ value: long, hint: description }]));
}
