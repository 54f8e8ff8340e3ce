import { expect, test } from 'vitest';
import type { Stored } from '../../runtime/objects.ts';
import type { Job } from '../../runtime/resources.ts';
import { BuildQueue } from './build-queue.ts';
import { imageObject, NOW } from './image-under-test.ts';
import type { ImageObject } from './objects.ts';

function image(name: string, reason = 'BuildQueued', metadata: object = {}): Stored<ImageObject> {
  const condition = { type: 'Reconciling', status: 'True', reason, message: '' };
  const build = { job: `${name}-job`, hash: 'h', reason: 'Created', startTime: '2026-01-01T11:59:00Z' };
  const status = { build, conditions: [condition] };
  return imageObject({ metadata: { name, ...metadata }, status }) as Stored<ImageObject>;
}

function job(name: string, ended = false): Stored<Job> {
  return {
    metadata: { name, namespace: 'tenant', uid: name, resourceVersion: '1' },
    status: ended ? { conditions: [{ type: 'Complete', status: 'True' }] } : {},
  } as unknown as Stored<Job>;
}

function queueOf(images: readonly Stored<ImageObject>[], jobs: Stored<Job>[], limit = 1): BuildQueue {
  const limits = { cluster: limit, namespace: 0 };
  return new BuildQueue(limits, { images: { list: () => images }, jobs: { list: () => jobs } });
}

const A = { namespace: 'tenant', name: 'a' };

test('what waits is in status, what runs are Jobs', () => {
  const images = [
    image('a'),
    image('b'),
    image('refused', 'PodRefused'),
    image('unresolved', 'ConfigNotFound'),
    image('going', 'BuildQueued', { deletionTimestamp: '2026-01-01T00:00:00Z' }),
  ];
  const view = queueOf(images, [job('b-job'), job('done', true)]).view(NOW);
  expect(view.waiting).toEqual([
    { key: 'tenant/a', namespace: 'tenant', reason: 'Created', since: NOW - 60_000 },
  ]);
  expect(view.running).toEqual(new Map([['tenant', 1]]));
});

test('a Job that the cache does not show yet keeps its place, for its own image too', () => {
  const jobs: Stored<Job>[] = [];
  const queue = queueOf([image('a'), image('b')], jobs);
  expect([...queue.admitted(NOW)]).toEqual(['tenant/a']);
  queue.reserve(A, 'a-job', NOW);
  expect(queue.admitted(NOW).size).toBe(0);
  expect(queue.isBuilding('tenant', NOW)).toBe(true);
  expect(queue.viewFor(A, NOW)).toBeUndefined();
  jobs.push(job('a-job'));
  expect(queue.view(NOW).running).toEqual(new Map([['tenant', 1]]));
  jobs[0] = job('a-job', true);
  expect([...queue.admitted(NOW)]).toEqual(['tenant/b']);
});

test('a place that was not made use of is given back', () => {
  const queue = queueOf([image('a')], []);
  queue.reserve(A, 'a-job', NOW);
  queue.release(A);
  expect([...queue.admitted(NOW)]).toEqual(['tenant/a']);
  queue.reserve(A, 'a-job', NOW);
  expect(queue.admitted(NOW + 30_000).size).toBe(0);
  expect([...queue.admitted(NOW + 61_000)]).toEqual(['tenant/a']);
});
