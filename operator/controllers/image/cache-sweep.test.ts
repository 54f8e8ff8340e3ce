import { expect, test } from 'vitest';
import { SILENT_LOGGER } from '../../runtime/logger.ts';
import { ManualClock } from '../../runtime/manual-clock.ts';
import type { ObjectInfo } from '../../storage/store.ts';
import { CacheSweep } from './cache-sweep.ts';
import { NOW } from './image-under-test.ts';

const HOUR = 3_600_000;
const signal = new AbortController().signal;

function world(isBuilding: (namespace: string) => boolean = () => false) {
  const objects = new Map<string, ObjectInfo>();
  const add = (key: string, hours: number, size = 1): void =>
    void objects.set(key, { key, size, modified: new Date(NOW - hours * HOUR) });
  const results: string[] = [];
  let removed = 0;
  const store = {
    async *list(prefix: string): AsyncGenerator<ObjectInfo> {
      if (prefix.startsWith('broken/')) throw new Error('storage is away');
      for (const info of objects.values()) if (info.key.startsWith(prefix)) yield info;
    },
    delete: async (keys: readonly string[]): Promise<void> => {
      for (const key of keys) objects.delete(key);
    },
  };
  const sweep = new CacheSweep({
    store,
    limits: { maxAgeMs: 10 * HOUR, maxBytes: 100 },
    namespaces: () => new Set(['broken', 'a', 'b']),
    isBuilding,
    metrics: {
      swept: (result) => void results.push(result),
      cacheRemoved: (count) => {
        removed += count;
      },
    },
    logger: SILENT_LOGGER,
    clock: new ManualClock(NOW),
    random: () => 0,
  });
  return { objects, add, results, sweep, removed: () => removed };
}

test('what is old, or too much, goes from caches; artifacts and other namespaces stay', async () => {
  const { add, objects, sweep, results, removed } = world();
  add('a/_cache/members/old', 11);
  add('a/_cache/members/big', 2, 90);
  add('a/_cache/members/older', 3, 20);
  add('a/_cache/results/young', 1);
  add('a/web/sha256-0/kernel', 99);
  add('elsewhere/_cache/members/old', 99);
  await sweep.round(signal);
  expect([...objects.keys()].toSorted()).toEqual([
    'a/_cache/members/big',
    'a/_cache/results/young',
    'a/web/sha256-0/kernel',
    'elsewhere/_cache/members/old',
  ]);
  expect(removed()).toBe(2);
  // A namespace whose storage fails is told of, and keeps the others from nothing.
  expect(results).toEqual(['failed', 'succeeded', 'succeeded']);
});

test('a namespace with a build at work keeps its cache', async () => {
  const { add, objects, sweep } = world((namespace) => namespace === 'a');
  add('a/_cache/members/old', 99);
  add('b/_cache/members/old', 99);
  await sweep.round(signal);
  expect([...objects.keys()]).toEqual(['a/_cache/members/old']);
});

test('a build that begins in between ends the removal at the next batch', async () => {
  let asked = 0;
  const { add, objects, sweep } = world((namespace) => namespace === 'a' && ++asked > 2);
  for (let i = 0; i < 2500; i++) add(`a/_cache/members/${i}`, 99);
  await sweep.round(signal);
  expect(objects.size).toBe(1500);
});
