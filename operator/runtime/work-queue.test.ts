import { array, assert, asyncProperty, constant, constantFrom, integer, oneof, record } from 'fast-check';
import { expect, test } from 'vitest';
import { ManualClock } from './manual-clock.ts';
import { WorkQueue } from './work-queue.ts';

/** A queue on a clock that the test moves, without jitter. */
function made(): { readonly queue: WorkQueue; readonly clock: ManualClock } {
  const clock = new ManualClock();
  return { queue: new WorkQueue({ clock, random: () => 0, baseMs: 100, maxMs: 1000 }), clock };
}

test('a key that is added twice is handed out once, in order of first adding', async () => {
  const { queue } = made();
  for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
  expect(queue.depth).toBe(3);
  expect([await queue.take(), await queue.take(), await queue.take()]).toEqual(['a', 'b', 'c']);
});

test('a key added while in work comes again after it is done, not before', async () => {
  const { queue } = made();
  queue.add('a');
  expect(await queue.take()).toBe('a');
  queue.add('a');
  queue.add('a');
  expect(queue.depth).toBe(0);
  const next = queue.take();
  queue.done('a');
  expect(await next).toBe('a');
  queue.done('a');
  expect(queue.depth).toBe(0);
});

test('of two later wishes for a key the earlier holds, and adding it now beats both', async () => {
  const { queue, clock } = made();
  queue.addAfter('a', 500);
  queue.addAfter('a', 200);
  queue.addAfter('a', 400);
  await clock.advance(199);
  expect(queue.depth).toBe(0);
  await clock.advance(1);
  expect(queue.depth).toBe(1);
  expect(await queue.take()).toBe('a');
  queue.done('a');
  queue.addAfter('b', 100);
  queue.add('b');
  expect(await queue.take()).toBe('b');
  queue.done('b');
  await clock.advance(1000);
  expect(queue.depth).toBe(0);
  expect(clock.pending).toBe(0);
});

test('waits of failing keys double up to the limit, each for itself, until forgotten', () => {
  const { queue } = made();
  expect([1, 2, 3, 4, 5, 6].map(() => queue.retry('a'))).toEqual([100, 200, 400, 800, 1000, 1000]);
  expect(queue.retry('b')).toBe(100);
  expect(queue.failures('a')).toBe(6);
  queue.forget('a');
  expect(queue.retry('a')).toBe(100);
});

test('closing drops what waits, ends the takers, and waits for work in progress', async () => {
  const { queue, clock } = made();
  queue.add('a');
  queue.add('b');
  queue.addAfter('c', 10);
  await queue.take();
  let closed = false;
  const closing = queue.close().then(() => {
    closed = true;
  });
  expect(await queue.take()).toBeUndefined();
  await clock.advance(100);
  queue.add('d');
  expect(queue.depth).toBe(0);
  expect(closed).toBe(false);
  queue.done('a');
  await closing;
  expect(closed).toBe(true);
});

test('a taker that waits is served before anything piles up, and ends with the queue', async () => {
  const { queue } = made();
  const [first, second] = [queue.take(), queue.take()];
  queue.add('a');
  expect(await first).toBe('a');
  queue.done('a');
  await queue.close();
  expect(await second).toBeUndefined();
});

test('it tells how long a key in work had waited', async () => {
  const { queue, clock } = made();
  queue.add('a');
  await clock.advance(1500);
  await queue.take();
  await clock.advance(700);
  expect(queue.waited('a')).toBe(1.5);
  queue.add('a');
  await clock.advance(300);
  queue.done('a');
  await queue.take();
  // Since it was wished for again, which was while it was in work.
  expect(queue.waited('a')).toBe(0.3);
  queue.done('a');
  expect(queue.waited('a')).toBe(0);
});

test('it tells how long the longest work lasts', async () => {
  const { queue, clock } = made();
  queue.add('a');
  await queue.take();
  await clock.advance(5000);
  queue.add('b');
  await queue.take();
  await clock.advance(1000);
  expect(queue.longestWork()).toBe(6);
  queue.done('a');
  expect(queue.longestWork()).toBe(1);
});

test('no key is ever in two hands, and every wish is followed by work that began after it', async () => {
  const operation = oneof(
    record({ kind: constant('add' as const), key: constantFrom('a', 'b', 'c') }),
    record({
      kind: constant('later' as const),
      key: constantFrom('a', 'b', 'c'),
      ms: integer({ min: 1, max: 50 }),
    }),
    record({ kind: constant('pass' as const), ms: integer({ min: 1, max: 50 }) }),
    constant({ kind: 'take' as const }),
    constant({ kind: 'done' as const }),
  );
  await assert(
    asyncProperty(array(operation, { maxLength: 60 }), async (operations) => {
      const { queue, clock } = made();
      const hands: string[] = [];
      const wished = new Map<string, number>();
      const begun = new Map<string, number>();
      let step = 0;
      const take = async (): Promise<void> => {
        const key = (await queue.take()) ?? '';
        expect(hands).not.toContain(key);
        hands.push(key);
        begun.set(key, ++step);
      };
      for (const each of operations) {
        if (each.kind === 'add' || each.kind === 'later') wished.set(each.key, ++step);
        if (each.kind === 'add') queue.add(each.key);
        else if (each.kind === 'later') queue.addAfter(each.key, each.ms);
        else if (each.kind === 'pass') await clock.advance(each.ms);
        else if (each.kind === 'done') queue.done(hands.shift() ?? '');
        else if (queue.depth > 0) await take();
      }
      await clock.advance(100);
      while (queue.depth > 0 || hands.length > 0) {
        if (queue.depth > 0) await take();
        queue.done(hands.shift() ?? '');
      }
      for (const [key, at] of wished) expect(begun.get(key) ?? 0).toBeGreaterThan(at);
    }),
    { numRuns: 60 },
  );
});
