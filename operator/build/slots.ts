/** Lets so many tasks run at once; the others wait, the heaviest first, equals in the order in which they came. */
export class Slots {
  #free: number;
  readonly #waiting: { readonly weight: number; readonly start: () => void }[] = [];

  constructor(slots: number) {
    this.#free = slots;
  }

  async run<T>(weight: number, task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else {
      await new Promise<void>((start) => {
        const behind = this.#waiting.findIndex((other) => other.weight < weight);
        this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, { weight, start });
      });
    }
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next.start();
    }
  }
}
