import { CodedError, messageOf } from '../errors.ts';

/** Ends the process with 1 and says why on standard error: code and message, never a stack. */
export function exitWithError(error: unknown): void {
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = 1;
}

/** `error: CODE: message`. */
export function errorText(error: unknown): string {
  return error instanceof CodedError
    ? `error: ${error.code}: ${error.message}`
    : `error: ${messageOf(error)}`;
}

/** Aborts when the process is asked to end; asked twice, it ends at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  return stop.signal;
}
