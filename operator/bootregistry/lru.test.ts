import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeastRecentlyUsed } from './lru.ts';

describe('LeastRecentlyUsed', () => {
  it('forgets what was used longest ago', () => {
    const lru = new LeastRecentlyUsed<string>(3, () => 1);
    for (const key of ['a', 'b', 'c']) lru.set(key, key);
    lru.get('a');
    lru.set('d', 'd');
    expect(['a', 'b', 'c', 'd'].map((key) => lru.get(key))).toEqual(['a', undefined, 'c', 'd']);
  });

  it('never holds more than its capacity, and always the newest that fit', () => {
    const step = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      weight: fc.integer({ min: 1, max: 12 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const lru = new LeastRecentlyUsed<number>(10, (weight) => weight);
        for (const [at, { key, weight }] of steps.entries()) {
          lru.set(key, weight);
          const newestFirst = new Map<string, number>();
          for (const earlier of steps.slice(0, at + 1).toReversed()) {
            if (!newestFirst.has(earlier.key)) newestFirst.set(earlier.key, earlier.weight);
          }
          if (weight > 10) expect(lru.get(key)).toBeUndefined();
          else expect(lru.get(key)).toBe(weight);
          const held = [...newestFirst.keys()].toReversed().map((name) => lru.get(name) ?? 0);
          expect(held.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(10);
        }
      }),
    );
  });
});
