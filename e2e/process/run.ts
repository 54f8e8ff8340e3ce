import { spawn } from 'node:child_process';
import { Failure, tail } from '../progress/failure.ts';

/** How to run a command to its end. */
export interface RunOptions {
  readonly signal: AbortSignal;
  /** Milliseconds after which the command is killed; default two minutes. */
  readonly timeout?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Called for each complete line of standard error. */
  readonly onLine?: (line: string) => void;
  readonly advice?: string;
}

/** Where nothing better is known. What was done before is kept, so a second try is short. */
const TRY_AGAIN = 'mend what the log names, and run this again; by hand, the command above shows more';

/** Output kept of each stream, in bytes; older output is dropped first. */
const outputLimit = 1 << 20;

/**
 * Runs a command and returns its standard output (at most its last MiB).
 * @throws Failure `CommandFailed` with the end of standard error when it does not exit 0.
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  options.signal.throwIfAborted();
  const timeout = options.timeout ?? 120_000;
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    signal: AbortSignal.any([options.signal, AbortSignal.timeout(timeout)]),
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  let partial = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout = (stdout + chunk).slice(-outputLimit);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr = (stderr + chunk).slice(-outputLimit);
    if (options.onLine === undefined) return;
    const lines = (partial + chunk).split('\n');
    partial = lines.pop() ?? '';
    for (const each of lines) options.onLine(each);
  });
  // A command that exits without reading its input closes the pipe under us.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');

  const shown = `${command} ${args.join(' ')}`.slice(0, 300);
  return await new Promise<string>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.name === 'AbortError') {
        if (options.signal.aborted) reject(options.signal.reason as Error);
        else
          reject(
            new Failure('CommandFailed', `${shown} did not end within ${timeout / 1000} s`, {
              log: tail(stderr, 40),
              advice: options.advice ?? TRY_AGAIN,
            }),
          );
        return;
      }
      reject(
        new Failure(error.code === 'ENOENT' ? 'ToolMissing' : 'CommandFailed', `cannot run ${command}`, {
          cause: error,
          advice: options.advice ?? `install ${command} and see that it is on PATH`,
        }),
      );
    });
    child.once('close', (code, killedBy) => {
      if (code === 0) resolve(stdout);
      else
        reject(
          new Failure(
            'CommandFailed',
            `${shown} ${code === null ? `was killed by ${killedBy}` : `exited with ${code}`}`,
            {
              log: tail(stderr === '' ? stdout : stderr, 40),
              advice: options.advice ?? TRY_AGAIN,
            },
          ),
        );
    });
  });
}
