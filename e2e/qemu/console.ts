import { StringDecoder } from 'node:string_decoder';

import { QemuError } from './qemu-error.ts';

/** Most of a console that is kept, in characters; the oldest goes first. */
const KEPT = 4 * 1024 * 1024;

// Colours, cursor movements and mode switches of firmware and terminals (ECMA-48).
// oxlint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-9;?]*[A-Za-z]|c|[()][A-Z0-9])/g;

/** What a machine writes on its serial line, without escape sequences, carriage returns removed. */
export class Console {
  #text = '';
  #ended: string | undefined;
  readonly #decoder = new StringDecoder('utf8');
  readonly #listeners = new Set<() => void>();

  get text(): string {
    return this.#text;
  }

  get lines(): readonly string[] {
    return this.#text.split('\n');
  }

  append(chunk: Buffer): void {
    const clean = (this.#text + this.#decoder.write(chunk)).replaceAll('\r', '').replaceAll(ESCAPES, '');
    this.#text = clean.slice(-KEPT);
    this.#wake();
  }

  /** Nothing more will come; `reason` says why. */
  end(reason: string): void {
    this.#ended = reason;
    this.#wake();
  }

  /**
   * Resolves with the first match of the pattern in all that was written so far or will be.
   * Throws `ConsoleSilent` when `deadline` milliseconds pass, `EmulatorEnded` when the machine
   * goes before; both carry the console's last lines.
   */
  waitFor(pattern: RegExp, deadline: number, signal?: AbortSignal): Promise<RegExpMatchArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpMatchArray>();
    const look = (): void => {
      const match = this.#text.match(pattern);
      if (match !== null) resolve(match);
      else if (this.#ended !== undefined) {
        reject(
          new QemuError(
            'EmulatorEnded',
            `${this.#ended} before the console showed ${pattern}\n${this.#tail()}`,
          ),
        );
      }
    };
    const timer = setTimeout(() => {
      const waited = `the console did not show ${pattern} within ${deadline / 1000} s`;
      reject(new QemuError('ConsoleSilent', `${waited}\n${this.#tail()}`));
    }, deadline);
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    this.#listeners.add(look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      this.#listeners.delete(look);
    });
  }

  #wake(): void {
    for (const listener of this.#listeners) listener();
  }

  #tail(): string {
    return this.lines.slice(-40).join('\n');
  }
}
