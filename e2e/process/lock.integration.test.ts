import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { withLock } from './lock.ts';

test('lets one in at a time, and lets the next in after a failure', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lock-'));
  const signal = AbortSignal.timeout(30_000);
  let inside = 0;
  const enter = async (fail: boolean): Promise<void> => {
    await withLock(join(folder, 'lock'), signal, async () => {
      inside += 1;
      expect(inside).toBe(1);
      await turn();
      inside -= 1;
      if (fail) throw new Error('failed inside');
    });
  };
  try {
    const results = await Promise.allSettled([enter(true), enter(false), enter(true), enter(false)]);
    expect(results.map((each) => each.status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
