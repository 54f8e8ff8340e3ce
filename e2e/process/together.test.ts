import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { together } from './together.ts';

const never = new AbortController().signal;

test('results come in the order of the tasks', async () => {
  const late = Promise.withResolvers<string>();
  const both = together(never, [
    () => late.promise,
    async () => {
      late.resolve('first');
      return 2;
    },
  ]);
  await expect(both).resolves.toEqual(['first', 2]);
});

test('the first failure ends the others, and is told when they are over', async () => {
  let over = false;
  const both = together(never, [
    async () => {
      throw new Error('broken');
    },
    async (signal) => {
      await sleep(60_000, undefined, { signal }).catch(() => undefined);
      over = true;
      throw new Error('stopped');
    },
  ]);
  await expect(both).rejects.toThrow('broken');
  expect(over).toBe(true);
});

test('the tasks are told when the caller has enough', async () => {
  const reason = new Error('enough');
  const seen = together(AbortSignal.abort(reason), [async (signal) => signal.throwIfAborted()]);
  await expect(seen).rejects.toBe(reason);
});
