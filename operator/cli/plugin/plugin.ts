import type { Command } from 'commander';
import { registerComplete, registerCompletion } from './completion.ts';
import { registerConsole } from './console.ts';
import { registerDownload } from './download.ts';
import { registerHistory } from './history.ts';
import { registerLogs } from './logs.ts';
import { registerRebuild } from './rebuild.ts';
import { registerRollback } from './rollback.ts';
import { registerStatus } from './status.ts';

/** Adds `plugin`: what people call as `kubectl linuxkit`. */
export function registerPlugin(program: Command): void {
  const plugin = program
    .command('plugin')
    .summary('what `kubectl linuxkit` calls: images and machines from the command line')
    .description('Images and machines in a cluster, from the command line.')
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows what there is)')
    .configureHelp({
      // It is called by another name than its place in this program.
      commandUsage: (command) =>
        ['kubectl linuxkit', ...(command.name() === 'plugin' ? [] : [command.name()]), command.usage()].join(
          ' ',
        ),
    });
  for (const register of [
    registerStatus,
    registerLogs,
    registerRebuild,
    registerConsole,
    registerDownload,
    registerHistory,
    registerRollback,
    registerCompletion,
    registerComplete,
  ])
    register(plugin);
}
