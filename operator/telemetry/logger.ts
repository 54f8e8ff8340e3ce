import { createLogger as createWinston, format, transports, type Logger as Winston } from 'winston';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type Fields = Readonly<Record<string, unknown>>;

/** Four levels and a way to add fields: all that the rest of the program knows of logging. */
export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: Fields): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Where lines go, one JSON object each. Default standard error: standard output belongs to commands' results. */
  readonly stream?: NodeJS.WritableStream;
}

/** A root logger whose level can be changed while it is used. */
export interface RootLogger extends Logger {
  level: LogLevel;
}

/** Keys that come first in a line, in this order; the others follow as they were given. */
const LEADING = [
  'time',
  'level',
  'message',
  'controller',
  'namespace',
  'name',
  'reconcileID',
  'traceID',
  'digest',
] as const;

/** Makes a logger that writes JSON lines with stable keys: `time` (RFC 3339, UTC), `level`, `message`, then fields. */
export function createLogger(options: LoggerOptions): RootLogger {
  const winston = createWinston({
    level: options.level,
    levels: { error: 0, warn: 1, info: 2, debug: 3 },
    format: format.printf((entry) =>
      lineOf(entry.level, entry.message, entry['fields'] as Fields, new Date()),
    ),
    transports: [new transports.Stream({ stream: options.stream ?? process.stderr })],
  });
  return rootOf(winston);
}

function rootOf(winston: Winston): RootLogger {
  return {
    ...loggerOf(winston, {}),
    get level(): LogLevel {
      return winston.level as LogLevel;
    },
    set level(level: LogLevel) {
      winston.level = level;
    },
  };
}

function loggerOf(winston: Winston, own: Fields): Logger {
  const write =
    (level: LogLevel) =>
    (message: string, fields: Fields = {}): void => {
      if (!winston.isLevelEnabled(level)) return;
      // Under one key: winston gives `message`, `level` and some others a meaning of its own.
      winston.log({ level, message, fields: { ...own, ...fields } });
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    with: (fields) => loggerOf(winston, { ...own, ...fields }),
  };
}

/** One log line. Exported for tests and for commands that print the same shape. */
export function lineOf(level: string, message: unknown, fields: Fields, time: Date): string {
  const all: Record<string, unknown> = { ...fields, time: time.toISOString(), level, message };
  const ordered: Record<string, unknown> = {};
  for (const key of LEADING) if (all[key] !== undefined) ordered[key] = all[key];
  for (const [key, value] of Object.entries(all)) if (!(key in ordered)) ordered[key] = value;
  return JSON.stringify(ordered, plain);
}

/** JSON knows neither errors nor large numbers, and throws on the latter. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (!(value instanceof Error)) return value;
  const { code } = value as { code?: unknown };
  return {
    name: value.name,
    message: value.message,
    ...(code === undefined ? {} : { code }),
    stack: value.stack,
  };
}
