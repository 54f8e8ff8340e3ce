import { array, assert, constantFrom, integer, nat, property, record, tuple, uniqueArray } from 'fast-check';
import { expect, test } from 'vitest';
import { BUILD_REASONS, type BuildReason } from '../../api/image.ts';
import { NOW } from './image-under-test.ts';
import {
  admit,
  inOrder,
  longestWait,
  placeInQueue,
  priorityOf,
  type QueueView,
  type WaitingBuild,
} from './queue.ts';

const MINUTE = 60_000;

/** `name` is `namespace/image`; `minutes` is how long it has waited. */
function waits(key: string, reason: BuildReason, minutes: number): WaitingBuild {
  return { key, namespace: key.split('/')[0] ?? '', reason, since: NOW - minutes * MINUTE };
}

function viewOf(change: Partial<QueueView>): QueueView {
  return { now: NOW, waiting: [], running: new Map(), limits: { cluster: 0, namespace: 0 }, ...change };
}

test('the longest wait is told in seconds, whatever comes first', () => {
  const waiting = [waits('a/x', 'Requested', 1), waits('b/x', 'Refresh', 9)];
  expect(longestWait(viewOf({ waiting }))).toBe(540);
  expect(longestWait(viewOf({}))).toBe(0);
});

test.each<[string, readonly WaitingBuild[], Readonly<Record<string, number>>, string]>([
  ['the oldest is first', [waits('a/y', 'Created', 1), waits('a/x', 'Created', 2)], {}, 'a/x a/y'],
  [
    'what a person wants comes before a refresh that has waited longer',
    [waits('a/x', 'Refresh', 9), waits('b/x', 'SpecChanged', 1)],
    {},
    'b/x a/x',
  ],
  [
    'a refresh that has waited long is as good as any',
    [waits('a/x', 'EngineChanged', 20), waits('b/x', 'Requested', 1)],
    {},
    'a/x b/x',
  ],
  [
    'namespaces take turns',
    [waits('a/x', 'Created', 5), waits('a/y', 'Created', 4), waits('b/x', 'Created', 1)],
    {},
    'a/x b/x a/y',
  ],
  [
    'a namespace with builds at work comes after one without',
    [waits('a/x', 'Created', 5), waits('b/x', 'Created', 1)],
    { a: 1 },
    'b/x a/x',
  ],
])('%s', (_, waiting, running, order) => {
  const view = viewOf({ waiting, running: new Map(Object.entries(running)) });
  expect(
    inOrder(view)
      .map(({ key }) => key)
      .join(' '),
  ).toBe(order);
});

test('a namespace that is full holds up no other', () => {
  const waiting = [waits('a/x', 'Created', 9), waits('b/x', 'Created', 1)];
  const view = viewOf({ waiting, running: new Map([['a', 1]]), limits: { cluster: 2, namespace: 1 } });
  expect([...admit(view)]).toEqual(['b/x']);
});

test('a build is told its place and what it waits for', () => {
  const running = new Map([
    ['a', 1],
    ['b', 1],
  ]);
  const waiting = [waits('c/x', 'Created', 5)];
  const mine = waits('a/x', 'Created', 1);
  expect(placeInQueue(viewOf({ waiting, running, limits: { cluster: 2, namespace: 0 } }), mine)).toEqual({
    position: 2,
    of: 2,
    full: 'cluster',
    running: 2,
  });
  expect(
    placeInQueue(viewOf({ waiting, running, limits: { cluster: 9, namespace: 1 } }), mine),
  ).toMatchObject({
    full: 'namespace',
    running: 1,
  });
  expect(
    placeInQueue(viewOf({ waiting, running, limits: { cluster: 4, namespace: 2 } }), mine),
  ).toBeUndefined();
});

const namespaces = constantFrom('a', 'b', 'c');
const build = tuple(namespaces, nat(20), constantFrom(...BUILD_REASONS), nat(120)).map(
  ([namespace, name, reason, minutes]) => waits(`${namespace}/${name}`, reason, minutes),
);
const view = record({
  waiting: uniqueArray(build, { selector: ({ key }) => key, maxLength: 20 }),
  running: array(tuple(namespaces, integer({ min: 1, max: 4 })), { maxLength: 3 }),
  cluster: nat(6),
  namespace: nat(3),
}).map(({ waiting, running, cluster, namespace }) =>
  viewOf({ waiting, running: new Map(running), limits: { cluster, namespace } }),
);

test('no limit is passed, and no place is left empty that somebody could take', () => {
  assert(
    property(view, (given) => {
      const admitted = admit(given);
      const { cluster, namespace } = given.limits;
      const after = new Map(given.running);
      for (const { key, namespace: each } of given.waiting)
        if (admitted.has(key)) after.set(each, (after.get(each) ?? 0) + 1);
      const total = [...after.values()].reduce((sum, each) => sum + each, 0);
      const before = [...given.running.values()].reduce((sum, each) => sum + each, 0);
      if (cluster > 0) expect(total).toBeLessThanOrEqual(Math.max(cluster, before));
      for (const [each, count] of after)
        if (namespace > 0)
          expect(count).toBeLessThanOrEqual(Math.max(namespace, given.running.get(each) ?? 0));
      for (const { key, namespace: each } of given.waiting) {
        if (admitted.has(key)) continue;
        const clusterFull = cluster > 0 && total >= cluster;
        const namespaceFull = namespace > 0 && (after.get(each) ?? 0) >= namespace;
        expect(clusterFull || namespaceFull).toBe(true);
      }
    }),
  );
});

test('each build sees of itself what the whole queue says of it', () => {
  assert(
    property(view, (given) => {
      const admitted = admit(given);
      for (const one of given.waiting)
        expect(placeInQueue(given, one) === undefined).toBe(admitted.has(one.key));
    }),
  );
});

test('what has waited long enough comes before everything that came later', () => {
  assert(
    property(view, (given) => {
      const rounds = given.waiting.length + [...given.running.values()].reduce((sum, each) => sum + each, 0);
      const old = waits('a/old', 'Refresh', 1000 + 15 * (rounds + 1));
      expect(inOrder({ ...given, waiting: [...given.waiting, old] })[0]?.key).toBe('a/old');
    }),
  );
});

test('every reason has its priority', () => {
  expect(BUILD_REASONS.filter((reason) => priorityOf(reason) === 'operator').toSorted()).toEqual([
    'EngineChanged',
    'Refresh',
  ]);
});
