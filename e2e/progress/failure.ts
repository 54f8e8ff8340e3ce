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
 * A failure that a person has to act on. `message` says what failed and where,
 * `advice` what to do, `log` is the end of the log that shows why.
 */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly advice: string;
  readonly log: string;

  constructor(
    code: FailureCode,
    message: string,
    options: { readonly advice?: string; readonly log?: string; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.code = code;
    this.advice = options.advice ?? '';
    this.log = options.log ?? '';
  }
}

/** The last `lines` lines of `text`, without trailing blank ones. */
export function tail(text: string, lines: number): string {
  const all = text.trimEnd().split('\n');
  return all.slice(Math.max(0, all.length - lines)).join('\n');
}

/** A failure as a person reads it: message, end of the log, advice. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = [error.message];
  let cause: unknown = error.cause;
  while (cause instanceof Error) {
    parts.push(`caused by: ${cause.message}`);
    cause = cause.cause;
  }
  if (error instanceof Failure) {
    if (error.log !== '') parts.push(`--- end of its log ---\n${error.log}\n---`);
    if (error.advice !== '') parts.push(`What to do: ${error.advice}`);
  }
  return parts.join('\n');
}
