import { expect, test } from 'vitest';
import { ManualClock } from '../../runtime/manual-clock.ts';
import { WorkQueue } from '../../runtime/work-queue.ts';
import { firstProblem, stuckWorker } from './health.ts';

test('a manager is as well as the first of its checks that is not', () => {
  const checks = new Map<string, () => string | undefined>([
    ['storage', () => undefined],
    ['caches', () => 'not synced'],
    ['started', () => 'not yet'],
  ]);
  expect(firstProblem(checks)).toBe('caches: not synced');
  for (const name of checks.keys()) checks.set(name, () => undefined);
  expect(firstProblem(checks)).toBeUndefined();
});

test('a worker is stuck long after its deadline, and nothing is that waits', async () => {
  const clock = new ManualClock();
  const queue = new WorkQueue({ clock, random: () => 0 });
  const controllers = [
    { name: 'image', queue: new WorkQueue({ clock, random: () => 0 }) },
    { name: 'machine', queue },
  ];
  queue.add('default/stuck');
  await clock.advance(3_600_000);
  expect(stuckWorker(controllers)).toBeUndefined();
  await queue.take();
  await clock.advance(600_000);
  expect(stuckWorker(controllers)).toBeUndefined();
  await clock.advance(1);
  expect(stuckWorker(controllers)).toMatch(/controller machine .* over 600 s/);
  queue.done('default/stuck');
  expect(stuckWorker(controllers)).toBeUndefined();
});
