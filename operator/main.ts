#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { Command } from 'commander';
import { exitWithError } from './cli/exit.ts';
import { engineVersion } from './cli/version.ts';

// Subcommands are compiled once on a machine, not once a call. Where nothing can be written it does nothing.
enableCompileCache();

type Register = (program: Command) => void;

/**
 * Subcommands are imported when they are called: a build pod never loads the Kubernetes client, and
 * nobody waits for what they don't use.
 */
const SUBCOMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  build: async () => (await import('./cli/build.ts')).registerBuild,
  run: async () => (await import('./cli/run.ts')).registerRun,
  'build-job': async () => (await import('./cli/build-job.ts')).registerBuildJob,
  manager: async () => (await import('./cli/manager.ts')).registerManager,
  'self-test': async () => (await import('./cli/self-test.ts')).registerSelfTest,
  plugin: async () => (await import('./cli/plugin/plugin.ts')).registerPlugin,
  'boot-registry': async () => (await import('./cli/boot-registry.ts')).registerBootRegistry,
};

try {
  const program = new Command('linuxkit-operator')
    .description('Builds LinuxKit images and boots them as KubeVirt virtual machines.')
    .version(engineVersion())
    .showHelpAfterError('(--help shows what there is)');
  const named = SUBCOMMANDS[process.argv[2] ?? ''];
  const wanted = named === undefined ? Object.values(SUBCOMMANDS) : [named];
  for (const register of await Promise.all(wanted.map((load) => load()))) register(program);
  await program.parseAsync();
} catch (error) {
  exitWithError(error);
}
