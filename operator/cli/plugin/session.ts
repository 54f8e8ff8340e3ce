import { type Command, Option } from 'commander';
import { ClusterAccess } from '../../runtime/access.ts';
import { ApiClient } from '../../runtime/api-client.ts';
import { stopSignal } from '../exit.ts';
import { engineName } from '../version.ts';
import { type Paint, paintFor } from './table.ts';

/** What every subcommand that talks to a cluster takes. */
export interface ClusterFlags {
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

export interface OutputFlags {
  readonly output?: 'json';
}

/** A call of the plugin, as its subcommands see the world. */
export interface Session {
  readonly client: ApiClient;
  readonly namespace: string;
  /** Aborts when the user ends the program. */
  readonly signal: AbortSignal;
  readonly paint: Paint;
  /** The choice of a cluster, for a kubectl that is called. */
  readonly kubectlFlags: readonly string[];
  /** Milliseconds since the epoch. */
  now(): number;
  /** What was asked for: standard output. */
  print(text: string): void;
  /** What goes on meanwhile: standard error. */
  say(line: string): void;
}

/** Adds the options by which kubectl chooses a cluster and a namespace. */
export function addClusterOptions(command: Command): Command {
  return command
    .option('-n, --namespace <name>', 'namespace; that of the context if left out')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--kubeconfig <file>', 'kubeconfig file; KUBECONFIG or ~/.kube/config if left out');
}

export function addOutputOption(command: Command): Command {
  return command.addOption(new Option('-o, --output <format>', 'output for programs').choices(['json']));
}

/** Runs a subcommand with a connection that ends with it. What the user has ended is no error. */
export async function withSession(
  flags: ClusterFlags,
  run: (session: Session) => Promise<void>,
): Promise<void> {
  const signal = stopSignal();
  await using access = ClusterAccess.load({
    ...(flags.kubeconfig === undefined ? {} : { file: flags.kubeconfig }),
    ...(flags.context === undefined ? {} : { context: flags.context }),
  });
  try {
    await run({
      client: new ApiClient(access, { userAgent: engineName() }),
      namespace: flags.namespace ?? access.namespace,
      signal,
      paint: paintFor(process.stdout, process.env),
      kubectlFlags: [
        ...(flags.kubeconfig === undefined ? [] : [`--kubeconfig=${flags.kubeconfig}`]),
        ...(flags.context === undefined ? [] : [`--context=${flags.context}`]),
      ],
      now: () => Date.now(),
      print: (text) => void process.stdout.write(text),
      say: (line) => void process.stderr.write(`${line}\n`),
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    // As a shell tells of a program that SIGINT ended.
    process.exitCode = 130;
  }
}

/** For people to read and programs to parse: one document, indented. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
