import { expect, test } from 'vitest';
import type { ImageObject } from '../../controllers/image/objects.ts';
import { countImageStates, oldestBuildSeconds } from './image-states.ts';

const image = (status: object, more: object = {}): ImageObject =>
  ({
    apiVersion: 'x',
    kind: 'y',
    metadata: { name: 'n', ...more },
    spec: {},
    status,
  }) as unknown as ImageObject;
const holding = (...types: string[]) => ({ conditions: types.map((type) => ({ type, status: 'True' })) });

test('each image counts once, by what matters most about it', () => {
  expect(
    countImageStates([
      image(holding('Ready')),
      image({ ...holding('Ready', 'Reconciling'), build: {} }),
      image({ build: {} }),
      image({ ...holding('Stalled'), lastFailure: {} }),
      image({ ...holding('Reconciling'), lastFailure: {} }),
      image(holding('Ready'), { deletionTimestamp: 'now' }),
      image({}),
      { ...image({}), spec: { suspend: true } } as unknown as ImageObject,
    ]),
  ).toEqual({ ready: 1, building: 2, failed: 1, stalled: 1, suspended: 1, deleting: 1, pending: 1 });
});

test.each([
  [[], 0],
  [
    [{}, { build: { startTime: '2026-01-01T00:00:30Z' } }, { build: { startTime: '2026-01-01T00:00:10Z' } }],
    50,
  ],
  [[{ build: { startTime: '2026-01-01T00:02:00Z' } }, { build: { startTime: 'nonsense' } }], 0],
])('the oldest running build of %j is %d s old', (statuses, seconds) => {
  expect(
    oldestBuildSeconds(
      statuses.map((status) => image(status)),
      Date.parse('2026-01-01T00:01:00Z'),
    ),
  ).toBe(seconds);
});
