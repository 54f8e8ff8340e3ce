/** What went wrong in the machinery around the tests and the demo. */
export type FailureCode =
  | 'ToolMissing'
  | 'PackageInstallFailed'
  | 'CompileFailed'
  | 'CommandFailed'
  | 'ComponentExited'
  | 'NotReadyInTime'
  | 'PortUnavailable'
  | 'NameTaken'
  | 'NotRunning'
  | 'EngineUnavailable'
  | 'Leftovers'
  | 'ConsoleSilent';

/**
 * A failure that a person has to act on. `summary` says what failed and where, `log` is
 * the end of the log that shows why, `advice` what to do; `message` is all three, since
 * test runners and uncaught exceptions show nothing else.
 */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly summary: string;
  readonly advice: string;
  readonly log: string;

  constructor(
    code: FailureCode,
    summary: string,
    options: { readonly advice?: string; readonly log?: string; readonly cause?: unknown } = {},
  ) {
    const { log = '', advice = '', cause } = options;
    const parts = [summary];
    if (log !== '') parts.push(`--- end of its log ---\n${log}\n---`);
    if (advice !== '') parts.push(`What to do: ${advice}`);
    super(parts.join('\n'), cause === undefined ? undefined : { cause });
    this.name = 'Failure';
    this.code = code;
    this.summary = summary;
    this.advice = advice;
    this.log = log;
  }
}

/** The last `lines` lines of `text`, without trailing blank ones. */
export function tail(text: string, lines: number): string {
  const all = text.trimEnd().split('\n');
  return all.slice(Math.max(0, all.length - lines)).join('\n');
}

/** A failure as a person reads it: its message, then what caused it. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = [error.message];
  let cause: unknown = error.cause;
  while (cause instanceof Error) {
    parts.push(`caused by: ${cause instanceof Failure ? cause.summary : cause.message}`);
    cause = cause.cause;
  }
  return parts.join('\n');
}
