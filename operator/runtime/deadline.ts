import { type Clock, reasonOf } from './clock.ts';

/**
 * A signal that aborts when `parent` does, or after `ms` with the error that `onTimeout` makes.
 *
 * Disposing of it takes its listener off the parent. AbortSignal.any is not used: the parent
 * lives as long as the process, and every request would leave something behind on it.
 */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #timer: Disposable;

  constructor(clock: Clock, parent: AbortSignal, ms: number, onTimeout: () => Error) {
    this.#parent = parent;
    this.#timer = clock.timer(ms, () => this.#controller.abort(onTimeout()));
    if (parent.aborted) this.#onParent();
    else parent.addEventListener('abort', this.#onParent, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #onParent = (): void => {
    this.#controller.abort(reasonOf(this.#parent));
  };

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#parent.removeEventListener('abort', this.#onParent);
  }
}
