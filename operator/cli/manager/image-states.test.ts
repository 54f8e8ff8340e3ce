import { expect, test } from 'vitest';
import type { ImageObject } from '../../controllers/image/objects.ts';
import { countImageStates } from './image-states.ts';

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
