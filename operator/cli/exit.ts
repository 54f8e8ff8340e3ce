import { messageOf } from '../errors.ts';

/** Ends the process with 1 and says why on standard error: code and message, never a stack. */
export function exitWithError(error: unknown): void {
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = 1;
}

/** `error: CODE: message`. By its code alone: in the bundle each subcommand has classes of errors of its own. */
export function errorText(error: unknown): string {
  const message = messageOf(error);
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  // Node's own errors begin with theirs.
  return code === '' || message.startsWith(code) ? `error: ${message}` : `error: ${code}: ${message}`;
}

/** Aborts when the process is asked to end; asked twice, it ends at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  return stop.signal;
}
