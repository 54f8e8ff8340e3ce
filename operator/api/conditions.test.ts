import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Condition,
  condition,
  findCondition,
  isTrue,
  RECONCILING,
  rfc3339,
  STALLED,
  setCondition,
  summarise,
} from './conditions.ts';

const earlier = new Date('2026-11-24T10:00:00.999Z');
const later = new Date('2026-11-24T11:00:00Z');
const ready = { status: 'True', reason: 'Available', message: 'built' } as const;

describe('setCondition', () => {
  const before = setCondition([], 'Ready', { ...ready, status: 'False' }, 1, earlier);

  test('starts with the time of the clock, in whole seconds', () => {
    expect(before).toEqual([
      {
        type: 'Ready',
        status: 'False',
        observedGeneration: 1,
        lastTransitionTime: '2026-11-24T10:00:00Z',
        reason: 'Available',
        message: 'built',
      },
    ]);
  });

  test('leaves an equal condition as it is, so that nothing is written', () => {
    expect(setCondition(before, 'Ready', { ...ready, status: 'False' }, 1, later)).toBe(before);
  });

  test('keeps the time while the status stays, whatever else changes', () => {
    const after = setCondition(before, 'Ready', { status: 'False', reason: 'Other', message: 'x' }, 2, later);
    expect(after[0]).toMatchObject({
      lastTransitionTime: '2026-11-24T10:00:00Z',
      observedGeneration: 2,
      reason: 'Other',
    });
  });

  test('takes the time of the clock when the status changes', () => {
    expect(setCondition(before, 'Ready', ready, 1, later)[0]?.lastTransitionTime).toBe(
      '2026-11-24T11:00:00Z',
    );
  });
});

describe('summarise', () => {
  const building = { reason: 'Building', message: 'job web-1 runs' };

  test('sets Ready last', () => {
    const list = summarise(undefined, { ready, reconciling: building }, 3, earlier);
    expect(list.map((entry) => entry.type)).toEqual(['Reconciling', 'Ready']);
    expect(list.every((entry) => entry.observedGeneration === 3)).toBe(true);
  });

  test('takes away what is no longer so', () => {
    const before = summarise(
      undefined,
      { ready, reconciling: building, others: { Suspended: ready } },
      1,
      earlier,
    );
    expect(
      summarise(before, { ready, others: { Suspended: undefined } }, 1, later).map((entry) => entry.type),
    ).toEqual(['Ready']);
  });

  test('never says Reconciling and Stalled at once', () => {
    const list = summarise(
      undefined,
      { ready, reconciling: building, stalled: { reason: 'Broken', message: '' } },
      1,
      earlier,
    );
    expect(isTrue(list, STALLED)).toBe(true);
    expect(findCondition(list, RECONCILING)).toBeUndefined();
  });

  test('whatever came before: valid, of this generation, and again the same', () => {
    const word = fc.stringMatching(/^[A-Z][a-z]{1,8}$/);
    const observation = fc.record({
      status: fc.constantFrom('True', 'False', 'Unknown'),
      reason: word,
      message: fc.string({ maxLength: 5000 }),
    });
    const finding = fc.record({
      ready: observation,
      reconciling: fc.option(fc.record({ reason: word, message: fc.string() }), { nil: undefined }),
      stalled: fc.option(fc.record({ reason: word, message: fc.string() }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(finding, { minLength: 1, maxLength: 6 }), fc.nat(), (findings, generation) => {
        let list: readonly Condition[] = [];
        for (const [index, found] of findings.entries()) {
          list = summarise(list, found, generation, new Date(1e12 + index * 1000));
          for (const entry of list) {
            expect(condition.safeParse(entry).success).toBe(true);
            expect(entry.observedGeneration).toBe(generation);
          }
          expect(new Set(list.map((entry) => entry.type)).size).toBe(list.length);
          expect(summarise(list, found, generation, new Date(2e12))).toBe(list);
        }
      }),
    );
  });
});

test('rfc3339 has no fraction', () => {
  expect(rfc3339(earlier)).toBe('2026-11-24T10:00:00Z');
});
