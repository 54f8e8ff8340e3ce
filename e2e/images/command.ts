import { spawn } from 'node:child_process';

import { ImageError } from './image-error.ts';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Milliseconds; ten minutes without it. */
  readonly deadline?: number;
}

/** Most of a command's output that is kept, in bytes. */
const OUTPUT_LIMIT = 32 * 1024 * 1024;

/**
 * Runs a program of this machine and gives its standard output. Throws `CommandFailed` with
 * the end of standard error when it exits non-zero, is missing, or overruns its deadline.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const line = [command, ...args].join(' ').slice(0, 200);
  const deadline = AbortSignal.timeout(options.deadline ?? 600_000);
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    signal: options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const output: Buffer[] = [];
  let size = 0;
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.byteLength;
    if (size > OUTPUT_LIMIT) child.kill('SIGKILL');
    else output.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-4000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new ImageError('CommandFailed', `${line}: ${error.message}`, { cause: error })),
    );
    child.once('close', resolve);
  });
  if (code !== 0) {
    throw new ImageError(
      'CommandFailed',
      `${line}: ${code === null ? 'was killed' : `exit ${code}`}\n${complaint.trim()}`,
    );
  }
  return Buffer.concat(output).toString();
}
