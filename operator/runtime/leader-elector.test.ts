import { array, assert, asyncProperty, boolean, integer, record, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import type { ApiClient } from './api-client.ts';
import { ApiError } from './api-error.ts';
import { LeaderElector } from './leader-elector.ts';
import { SILENT_LOGGER } from './logger.ts';
import { ManualClock, settle } from './manual-clock.ts';
import type { Stored } from './objects.ts';
import type { Lease } from './resources.ts';

type LeaseClient = Pick<ApiClient, 'find' | 'create' | 'replace'>;

/** A Lease behind optimistic concurrency, as the API server keeps it; some clients may be cut off from it. */
class LeaseStore {
  lease: Stored<Lease> | undefined;
  #version = 0;

  client(reaches: () => boolean): ApiClient {
    const check = (): void => {
      if (!reaches()) throw new ApiError('Unreachable', 'cut off');
    };
    const stored = (lease: Lease): Stored<Lease> => {
      this.#version++;
      this.lease = {
        ...lease,
        metadata: { ...lease.metadata, uid: 'u', resourceVersion: String(this.#version) },
      };
      return this.lease;
    };
    const client: { [Verb in keyof LeaseClient]: (...args: never[]) => Promise<unknown> } = {
      find: async () => {
        check();
        return this.lease;
      },
      create: async (_type: unknown, lease: Lease) => {
        check();
        if (this.lease !== undefined) throw new ApiError('AlreadyExists', 'there is one');
        return stored(lease);
      },
      replace: async (_type: unknown, lease: Lease) => {
        check();
        if (lease.metadata.resourceVersion !== this.lease?.metadata.resourceVersion)
          throw new ApiError('Conflict', 'changed');
        return stored(lease);
      },
    };
    return client as unknown as ApiClient;
  }
}

/** A candidate whose wall clock may be wrong by any amount, and that may be cut off. */
function candidate(store: LeaseStore, clock: ManualClock, identity: string, skewMs: number) {
  const state = { reaches: true, leading: false, ended: undefined as string | undefined };
  const skewed = {
    now: () => clock.now() + skewMs,
    monotonic: () => clock.monotonic(),
    timer: clock.timer.bind(clock),
  };
  const stop = new AbortController();
  const elector = new LeaderElector(
    store.client(() => state.reaches),
    {
      lease: { namespace: 'x', name: 'lease' },
      identity,
      logger: SILENT_LOGGER,
      clock: skewed,
      random: () => 0.5,
    },
  );
  const run = elector
    .run(stop.signal, async (term) => {
      state.leading = true;
      await new Promise<void>((resolve) => term.addEventListener('abort', () => resolve(), { once: true }));
      state.leading = false;
    })
    .then((end) => {
      state.ended = end;
    });
  return { state, stop, run, identity };
}

test('the first leads; the next takes over 15 s after it saw the last renewal', async () => {
  const [store, clock] = [new LeaseStore(), new ManualClock()];
  const first = candidate(store, clock, 'first', 0);
  await settle();
  const second = candidate(store, clock, 'second', 3_600_000);
  await clock.advance(60_000);
  expect([first.state.leading, second.state.leading]).toEqual([true, false]);
  expect(store.lease?.spec?.renewTime).toMatch(/\.\d{6}Z$/);

  first.state.reaches = false;
  await clock.advance(9_900);
  expect(first.state.leading).toBe(true);
  await clock.advance(2_200);
  expect(first.state).toMatchObject({ leading: false, ended: 'lost' });
  expect(second.state.leading).toBe(false);
  await clock.advance(8_000);
  expect(second.state.leading).toBe(true);
  expect(store.lease?.spec).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 });
  second.stop.abort();
  await settle();
});

test('a lease that was given up is taken at the next look, and nobody waits for it to run out', async () => {
  const [store, clock] = [new LeaseStore(), new ManualClock()];
  const first = candidate(store, clock, 'first', 0);
  await settle();
  const second = candidate(store, clock, 'second', 0);
  await clock.advance(10_000);
  first.stop.abort();
  await settle();
  expect(first.state.ended).toBe('released');
  await clock.advance(2_500);
  expect(second.state.leading).toBe(true);
  second.stop.abort();
  await settle();
});

test('an interruption shorter than the renewal deadline and one try costs nothing', async () => {
  const [store, clock] = [new LeaseStore(), new ManualClock()];
  const first = candidate(store, clock, 'first', 0);
  const second = candidate(store, clock, 'second', 0);
  await clock.advance(5_000);
  const leader = first.state.leading ? first : second;
  for (let round = 0; round < 5; round++) {
    leader.state.reaches = false;
    await clock.advance(6_000);
    leader.state.reaches = true;
    await clock.advance(5_000);
    expect(leader.state.leading).toBe(true);
  }
  first.stop.abort();
  second.stop.abort();
  await settle();
});

test('whatever is cut off when, and however wrong the clocks: never two leaders, and one in the end', async () => {
  const event = record({
    who: integer({ min: 0, max: 2 }),
    reaches: boolean(),
    afterMs: integer({ min: 100, max: 12_000 }),
  });
  const skew = integer({ min: -100_000_000, max: 100_000_000 });
  await assert(
    asyncProperty(array(event, { maxLength: 12 }), tuple(skew, skew, skew), async (events, skews) => {
      const [store, clock] = [new LeaseStore(), new ManualClock()];
      let made = 0;
      const start = (index: number) => candidate(store, clock, `${index}-${made++}`, skews[index] ?? 0);
      const all = [start(0), start(1), start(2)];
      const pass = async (ms: number): Promise<void> => {
        for (let left = ms; left > 0; left -= 500) {
          await clock.advance(Math.min(500, left));
          expect(all.filter(({ state }) => state.leading).length).toBeLessThanOrEqual(1);
          // Whoever lost is started anew, as its pod would be.
          for (const [index, each] of all.entries())
            if (each.state.ended !== undefined) all[index] = start(index);
        }
      };
      for (const { who, reaches, afterMs } of events) {
        await pass(afterMs);
        const hit = all[who];
        if (hit !== undefined) hit.state.reaches = reaches;
      }
      for (const { state } of all) state.reaches = true;
      await pass(20_000);
      expect(all.filter(({ state }) => state.leading)).toHaveLength(1);
      for (const { stop } of all) stop.abort();
      await Promise.all(all.map(({ run }) => run));
    }),
    { numRuns: 25 },
  );
}, 60_000);
