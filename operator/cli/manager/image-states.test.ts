import { expect, test } from 'vitest';
import type { ImageObject } from '../../controllers/image/objects.ts';
import type { Job } from '../../runtime/resources.ts';
import { countImageStates, keptArtifacts, oldestBuildSeconds } from './image-states.ts';

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

test('what images keep is counted, with the bytes of kernels and initrds', () => {
  const artifact = (kernel: number, initrd: number) => ({
    kernel: { size: kernel },
    initrd: { size: initrd },
  });
  const images = [
    image({ artifact: artifact(1, 10), history: [artifact(2, 20), artifact(3, 30)] }),
    image({ artifact: artifact(4, 40) }),
    image({}),
  ];
  expect(keptArtifacts(images)).toEqual({
    current: { count: 2, bytes: 55 },
    history: { count: 2, bytes: 55 },
  });
  expect(keptArtifacts([])).toEqual({ current: { count: 0, bytes: 0 }, history: { count: 0, bytes: 0 } });
});

const job = (creationTimestamp: string, ended?: string): Job =>
  ({
    metadata: { name: 'j', creationTimestamp },
    status: ended === undefined ? {} : { conditions: [{ type: ended, status: 'True' }] },
  }) as unknown as Job;
const queued = (reason: string) => ({
  build: { phase: 'Queued', startTime: '2026-01-01T00:00:00Z' },
  conditions: [{ type: 'Reconciling', status: 'True', reason }],
});

test.each([
  ['nothing', [], [], 0],
  ['two Jobs', [], [job('2026-01-01T00:00:30Z'), job('2026-01-01T00:00:10Z')], 50],
  ['a Job that ended', [], [job('2026-01-01T00:00:30Z', 'Complete'), job('2026-01-01T00:00:50Z')], 10],
  ['a Job from the future', [], [job('2026-01-01T00:02:00Z'), job('nonsense')], 0],
  ['a build that waits for its turn', [queued('BuildQueued')], [], 0],
  ['a build whose Job is refused', [queued('PodRefused')], [], 60],
])('with %s, the oldest build is of age', (_, statuses, jobs, seconds) => {
  const images = statuses.map((status) => image(status));
  expect(oldestBuildSeconds(images, jobs, Date.parse('2026-01-01T00:01:00Z'))).toBe(seconds);
});
