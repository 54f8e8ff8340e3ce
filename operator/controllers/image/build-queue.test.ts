import { array, assert, constant, constantFrom, integer, oneof, property, record } from 'fast-check';
import { expect, test } from 'vitest';
import type { Stored } from '../../runtime/objects.ts';
import type { Job } from '../../runtime/resources.ts';
import { BuildQueue } from './build-queue.ts';
import { imageObject, NOW } from './image-under-test.ts';
import type { ImageObject } from './objects.ts';
import { placeInQueue, type WaitingBuild } from './queue.ts';

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

function build(name: string): WaitingBuild {
  return { key: `tenant/${name}`, namespace: 'tenant', reason: 'Created', since: NOW - 60_000 };
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

test('however late the cache is, no more Jobs are at work than may be, and all have their turn', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const step = oneof(
    record({ kind: constant('reconcile' as const), name: constantFrom(...names) }),
    record({ kind: constant('end' as const), name: constantFrom(...names) }),
    constant({ kind: 'catch up' as const }),
  );
  assert(
    property(array(step, { maxLength: 60 }), integer({ min: 1, max: 3 }), (steps, limit) => {
      const made = new Map<string, 'active' | 'ended'>();
      const seen: Stored<Job>[] = [];
      const queue = queueOf(
        names.map((name) => image(name)),
        seen,
        limit,
      );
      const reconcile = (name: string): void => {
        const view = queue.viewFor({ namespace: 'tenant', name }, NOW);
        const place = view && placeInQueue(view, build(name));
        if (place !== undefined || seen.some(({ metadata }) => metadata.name === `${name}-job`)) return;
        queue.reserve({ namespace: 'tenant', name }, `${name}-job`, NOW);
        if (!made.has(name)) made.set(name, 'active');
      };
      const catchUp = (): void => {
        const jobs = [...made].map(([name, state]) => job(`${name}-job`, state === 'ended'));
        seen.splice(0, seen.length, ...jobs);
      };
      const end = (name: string): void => {
        if (made.has(name)) made.set(name, 'ended');
      };
      for (const each of steps) {
        if (each.kind === 'reconcile') reconcile(each.name);
        else if (each.kind === 'end') end(each.name);
        else catchUp();
        expect([...made.values()].filter((state) => state === 'active').length).toBeLessThanOrEqual(limit);
      }
      for (const _ of names) {
        for (const name of names) end(name);
        catchUp();
        for (const key of queue.admitted(NOW)) reconcile(key.slice('tenant/'.length));
      }
      expect([...made.keys()].toSorted()).toEqual(names);
    }),
  );
});
