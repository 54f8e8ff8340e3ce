import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOG_LEVELS, type LogLevel, type RootLogger } from './logger.ts';

/** How long a change may go unseen, in milliseconds. A mounted ConfigMap itself arrives only after a minute or so. */
const EVERY_MS = 5_000;
/** A level is one word. */
const MAX_BYTES = 64;

/**
 * Keeps a logger's level to what a file says: a key of a mounted ConfigMap. It is read again and again, and
 * not watched: kubelet replaces such a file by exchanging a link some folders above it.
 */
export class LogLevelFile {
  readonly #logger: RootLogger;
  readonly #path: string;
  readonly #everyMs: number;
  #refused: string | undefined;

  constructor(logger: RootLogger, path: string, options: { readonly everyMs?: number } = {}) {
    this.#logger = logger;
    this.#path = path;
    this.#everyMs = options.everyMs ?? EVERY_MS;
  }

  /** Until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.read();
      await sleep(this.#everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Takes the level that the file names now. Without one, or without the file, the level stays as it is. */
  async read(): Promise<void> {
    const text = await beginningOf(this.#path);
    if (text === undefined) return;
    const level = LOG_LEVELS.find((name) => name === text);
    if (level === undefined) {
      if (text !== this.#refused)
        this.#logger.warn('the log level stays as it is: the file names none', {
          file: this.#path,
          found: text,
          level: this.#logger.level,
        });
      this.#refused = text;
      return;
    }
    this.#refused = undefined;
    this.#take(level);
  }

  #take(level: LogLevel): void {
    const before = this.#logger.level;
    if (level === before) return;
    // Told at whichever of the two levels shows more.
    const told = (): void => this.#logger.info('log level changed', { from: before, to: level });
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(before)) told();
    this.#logger.level = level;
    if (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(before)) told();
  }
}

async function beginningOf(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead).trim();
  } catch {
    return undefined;
  }
}
