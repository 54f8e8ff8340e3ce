import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Budget } from './budget.ts';

describe('Budget', () => {
  it('lets a burst through, then as much as refills, and says how long to wait', () => {
    const budget = new Budget({ burst: 3, perSecond: 0.5 });
    expect([0, 0, 0].map((now) => budget.take('a', 1, now))).toEqual([0, 0, 0]);
    expect(budget.take('a', 1, 0)).toBe(2);
    expect(budget.take('a', 1, 2)).toBe(0);
    expect(budget.take('a', 1, 2)).toBe(2);
  });

  it('does not let one name use up the share of another', () => {
    const budget = new Budget({ burst: 1, perSecond: 1 });
    expect(budget.take('a', 1, 0)).toBe(0);
    expect(budget.take('b', 1, 0)).toBe(0);
  });

  it('lets more than a burst through when it is full, and makes the next wait for it', () => {
    const budget = new Budget({ burst: 10, perSecond: 1 });
    expect(budget.take('a', 25, 0)).toBe(0);
    expect(budget.take('a', 1, 0)).toBe(16);
    expect(budget.take('a', 1, 16)).toBe(0);
  });

  it('grants no more than burst and refill allow, and keeps its promise about when', () => {
    const rate = { burst: 20, perSecond: 3 };
    fc.assert(
      fc.property(
        fc.array(fc.record({ amount: fc.integer({ min: 1, max: 20 }), after: fc.nat(5) })),
        (steps) => {
          const budget = new Budget(rate);
          let [now, granted] = [0, 0];
          for (const { amount, after } of steps) {
            now += after;
            let wait = budget.take('a', amount, now);
            if (wait > 0) {
              now += wait;
              wait = budget.take('a', amount, now);
            }
            expect(wait).toBe(0);
            granted += amount;
            expect(granted).toBeLessThanOrEqual(rate.burst + now * rate.perSecond);
          }
        },
      ),
    );
  });

  it('forgets names that have their full share again', () => {
    const budget = new Budget({ burst: 1, perSecond: 1 });
    for (let index = 0; index < 5000; index += 1) expect(budget.take(`name-${index}`, 1, index)).toBe(0);
    expect(budget.take('name-4999', 1, 4999)).toBe(1);
  });
});
