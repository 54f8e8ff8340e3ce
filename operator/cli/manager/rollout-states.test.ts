import { expect, test } from 'vitest';
import { countRolloutStates } from './rollout-states.ts';

const machine = (types: readonly string[], metadata: { readonly deletionTimestamp?: string } = {}) => ({
  metadata,
  status: { conditions: types.map((type) => ({ type, status: 'True' })) },
});

test('each machine counts once, by what matters most about it', () => {
  expect(
    countRolloutStates([
      machine(['Ready']),
      machine(['Ready', 'Reconciling']),
      machine(['Stalled']),
      machine(['Stalled'], { deletionTimestamp: 'now' }),
      machine([]),
    ]),
  ).toEqual({ complete: 1, progressing: 2, stalled: 1, deleting: 1 });
});
