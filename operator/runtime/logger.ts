/** Values of a log line besides its message. Never a credential, never a whole object. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What the runtime and the controllers need of a logger; `operator/telemetry` makes one. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger;
}

export const SILENT_LOGGER: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => SILENT_LOGGER,
};
