import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inOrder, type Task } from './in-order.ts';

const never = new AbortController().signal;

/** A task that answers, or fails, after so many turns of the event loop, unless it is cancelled before. */
function task(name: number, turns: number, fails: boolean): Task<number> {
  return async (signal) => {
    for (let turn = 0; turn < turns; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    }
    if (fails) throw new Error(`task ${name}`);
    return name;
  };
}

describe('inOrder', () => {
  it('gives results in order, or throws what the first that fails threw, however long each takes', async () => {
    const kinds = fc.record({ turns: fc.nat(6), fails: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(kinds, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        async (all, parallel) => {
          let running = 0;
          const tasks = all.map(
            ({ turns, fails }, name): Task<number> =>
              async (signal) => {
                running += 1;
                expect(running).toBeLessThanOrEqual(parallel);
                try {
                  return await task(name, turns, fails)(signal);
                } finally {
                  running -= 1;
                }
              },
          );
          const first = all.findIndex(({ fails }) => fails);
          const result = inOrder(tasks, { parallel, signal: never });
          if (first < 0) expect(await result).toEqual(all.map((_, name) => name));
          else await expect(result).rejects.toThrow(`task ${first}`);
          expect(running).toBe(0);
        },
      ),
    );
  });

  it('cancels what is behind a task that failed, and begins nothing more', async () => {
    const begun: number[] = [];
    const noted =
      (name: number, inner: Task<number>): Task<number> =>
      (signal) => {
        begun.push(name);
        return inner(signal);
      };
    const hangs: Task<number> = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('cancelled')));
      });
    const tasks = [noted(0, task(0, 1, true)), noted(1, hangs), noted(2, task(2, 0, false))];
    await expect(inOrder(tasks, { parallel: 2, signal: never })).rejects.toThrow('task 0');
    expect(begun).toEqual([0, 1]);
  });

  it('ends when it is told to', async () => {
    const stop = new AbortController();
    const result = inOrder([task(0, 100, false)], { parallel: 1, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(result).rejects.toThrow('enough');
  });
});
