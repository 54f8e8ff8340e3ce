import {
  type Arbitrary,
  array,
  assert,
  boolean,
  constant,
  constantFrom,
  integer,
  oneof,
  property,
  record,
} from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { ANNOTATION_REBUILD } from '../../api/names.ts';
import type { Decision } from './decide.ts';
import { ImageWorld } from './image-world.ts';
import type { QueueView } from './queue.ts';

let world: ImageWorld;

beforeEach(() => {
  world = new ImageWorld();
});

const kinds = ({ actions }: Decision): readonly string[] => actions.map(({ kind }) => kind);
const reasons = ({ events }: Decision): readonly string[] => events.map(({ reason }) => reason);
const conditionOf = ({ status }: Pick<Decision, 'status'>, type: string): string | undefined => {
  const found = status.conditions?.find((condition) => condition.type === type);
  return found === undefined ? undefined : `${found.status} ${found.reason}`;
};
const onlyJob = (): string => {
  const [name, ...others] = world.jobs.keys();
  expect(others).toEqual([]);
  return name ?? '';
};
/** A queue with room for two builds. */
const othersAtWork = (running: number): QueueView => ({
  now: world.now,
  waiting: [],
  running: new Map([['other', running]]),
  limits: { cluster: 2, namespace: 0 },
});
/** Builds to the end, as things go when all goes well. */
function built(): void {
  world.reconcile();
  const started = world.status?.build?.job ?? '';
  world.endJob(started, 'succeed');
  world.reconcile();
}

test('a new image starts its build in the first pass, and says so', () => {
  const decision = world.reconcile();
  expect(kinds(decision)).toEqual(['startBuild']);
  expect(reasons(decision)).toEqual(['Building']);
  expect(decision.status).toMatchObject({
    observedGeneration: 1,
    build: { job: onlyJob(), reason: 'Created', phase: 'Queued' },
  });
  expect(conditionOf(decision, 'Ready')).toBe('False BuildQueued');
  expect(conditionOf(decision, 'Reconciling')).toBe('True BuildQueued');
  world.endJob(onlyJob(), 'run');
  const running = world.reconcile();
  expect(conditionOf(running, 'Ready')).toBe('False Building');
  expect(running.status.build?.phase).toBe('Running');
});

test('its result becomes the artifact, and the image is ready and still', () => {
  built();
  const decision = world.decide();
  expect(conditionOf(decision, 'Ready')).toBe('True Available');
  expect(conditionOf(decision, 'Reconciling')).toBeUndefined();
  expect(decision).toMatchObject({ verdict: 'current', statusChanged: false, actions: [], events: [] });
  expect(decision.status.build).toBeUndefined();
});

test('a changed spec builds again with the artifact in place, and cancels what it overtakes', () => {
  built();
  const before = world.status?.artifact?.digest;
  world.changeSpec({ config: { kernel: { image: 'k:2', cmdline: '' }, init: [] } });
  const second = world.reconcile();
  expect(second.status.build?.reason).toBe('SpecChanged');
  expect(conditionOf(second, 'Ready')).toBe('Unknown BuildQueued');
  expect(second.status.artifact?.digest).toBe(before);
  world.changeSpec({ config: { kernel: { image: 'k:3', cmdline: '' }, init: [] } });
  const third = world.reconcile();
  expect(third.actions).toContainEqual(
    expect.objectContaining({ kind: 'deleteJob', name: second.status.build?.job, cancels: true }),
  );
  expect(kinds(third)).toContain('startBuild');
  world.endJob(third.status.build?.job ?? '', 'succeed');
  expect(world.reconcile().status.history?.map(({ digest }) => digest)).toEqual([before]);
});

test('the same artifact counts as one that machines boot from elsewhere only when a build has pushed it there', () => {
  built();
  const before = world.status?.artifact;
  const repository = 'registry.example/boot';
  world.changeSpec({ bootImage: { repository, pullSecretName: 'pull' } });
  const { status, verdict } = world.reconcile();
  expect({ verdict, artifact: status.artifact }).toEqual({ verdict: 'start', artifact: before });
  world.endJob(status.build?.job ?? '', 'fail for now');
  expect(world.reconcile().status.artifact).toEqual(before);

  world.now += 3_600_000;
  world.reconcile();
  world.reconcile();
  world.endJob(world.status?.build?.job ?? '', 'succeed');
  expect(world.reconcile().events.map(({ note }) => note)).toEqual([
    expect.stringMatching(/^nothing has changed: .*; its boot image is in registry\.example\/boot$/),
  ]);
  expect(world.status?.history).toBeUndefined();
  expect(world.status?.artifact).toMatchObject({
    digest: before?.digest,
    reason: before?.reason,
    bootImage: {
      reference: `${repository}@${before?.bootImage.digest}`,
      repository,
      pullSecretName: 'pull',
    },
  });
});

test.each([
  ['Requested', () => void (world.annotations[ANNOTATION_REBUILD] = 'now')],
  ['Refresh', () => void (world.now += 27 * 3_600_000)],
])(
  'a build that is %s leaves the image ready while it runs and after it failed to find anything new',
  (reason, ask) => {
    built();
    const before = world.status?.artifact;
    ask();
    const decision = world.reconcile();
    expect(decision.status.build?.reason).toBe(reason);
    expect(conditionOf(decision, 'Ready')).toBe('True Available');
    expect(conditionOf(decision, 'Reconciling')).toBe('True BuildQueued');
    world.endJob(decision.status.build?.job ?? '', 'succeed');
    const done = world.reconcile();
    expect(done.events[0]?.note).toContain('nothing has changed');
    expect({ ...done.status.artifact, buildHash: '' }).toEqual({ ...before, buildHash: '' });
    expect(done.status.history).toBeUndefined();
    expect(world.decide()).toMatchObject({ verdict: 'current', statusChanged: false });
  },
);

test('a failure for good stalls until somebody touches the spec, and is told once', () => {
  built();
  const artifact = world.status?.artifact;
  world.changeSpec({ config: { kernel: { image: 'k:none', cmdline: '' }, init: [] } });
  world.reconcile();
  const job = world.status?.build?.job ?? '';
  world.endJob(job, 'fail for good');
  const failed = world.reconcile();
  expect(reasons(failed)).toEqual(['ImageNotFound']);
  expect(failed.measures).toMatchObject([{ result: 'failed', reason: 'ImageNotFound' }]);
  expect([
    conditionOf(failed, 'Ready'),
    conditionOf(failed, 'Stalled'),
    conditionOf(failed, 'Reconciling'),
  ]).toEqual(['False ImageNotFound', 'True ImageNotFound', undefined]);
  expect(failed.status.artifact).toEqual(artifact);
  world.now += 86_400_000 / 4;
  const later = world.reconcile();
  expect(later).toMatchObject({ verdict: 'failed', statusChanged: false, events: [], measures: [] });
  expect(kinds(later)).not.toContain('startBuild');

  world.changeSpec({ build: { resources: { limits: { memory: '8Gi' } } } });
  world.reconcile();
  world.reconcile();
  expect(world.jobs.get(job)?.state).toBe('active');
});

test('a failure for now is tried again, each time after as long as it has been going wrong', () => {
  world.reconcile();
  const waits: number[] = [];
  for (let round = 0; round < 7; round++) {
    world.now += 20_000;
    world.endJob(world.status?.build?.job ?? '', 'fail for now');
    const failed = world.reconcile();
    expect(conditionOf(failed, 'Ready')).toBe('False RegistryUnreachable');
    expect(conditionOf(failed, 'Reconciling')).toBe('True BuildRetrying');
    waits.push(Math.round((failed.requeueAfterMs ?? 0) / 1000));
    world.now += failed.requeueAfterMs ?? 0;
    for (let pass = 0; pass < 3; pass++) world.reconcile();
    expect(conditionOf(world.decide(), 'Ready')).toBe('False RegistryUnreachable');
  }
  expect(waits).toEqual([60, 100, 220, 460, 940, 1900, 3600]);
  world.endJob(world.status?.build?.job ?? '', 'succeed');
  const done = world.reconcile();
  expect(conditionOf(done, 'Ready')).toBe('True Available');
  expect(done.status.lastFailure).toBeUndefined();
});

test('killed between deciding on a retry and clearing the way, it goes on with that retry', () => {
  world.reconcile();
  world.endJob(onlyJob(), 'fail for now');
  world.now += world.reconcile().requeueAfterMs ?? 0;
  const decided = world.reconcile(1);
  expect(kinds(decided)).toEqual(['deleteJob']);
  expect(world.jobs.size).toBe(1);
  const next = world.reconcile();
  expect(next).toMatchObject({ verdict: 'clearing', statusChanged: false, events: [], measures: [] });
  const started = world.reconcile();
  expect(kinds(started)).toEqual(['startBuild']);
  expect(started.status.build).toEqual(decided.status.build);
});

test('while the Job tries again, the failure of its first pod is told in full and at once', () => {
  world.reconcile();
  world.failPod(onlyJob());
  const decision = world.reconcile();
  expect(decision.status.lastFailure).toMatchObject({ reason: 'RegistryUnreachable', step: 'resolve' });
  expect(reasons(decision)).toEqual(['RegistryUnreachable']);
  expect(conditionOf(decision, 'Ready')).toBe('False RegistryUnreachable');
  expect(conditionOf(decision, 'Reconciling')).toBe('True BuildRetrying');
  expect(decision.status.build).toBeDefined();
  expect(world.decide()).toMatchObject({ statusChanged: false, events: [] });
});

test('storage that is away is waited for, and no result is lost', () => {
  world.reconcile();
  world.endJob(onlyJob(), 'succeed');
  world.storageAnswers = false;
  const waiting = world.reconcile();
  expect(conditionOf(waiting, 'Reconciling')).toBe('True StorageUnavailable');
  expect(waiting.requeueAfterMs).toBe(10_000);
  expect(waiting.status.build).toBeDefined();
  world.storageAnswers = true;
  expect(conditionOf(world.reconcile(), 'Ready')).toBe('True Available');
});

test('a result that nobody kept is asked for again', () => {
  world.reconcile();
  world.endJob(onlyJob(), 'lose pod');
  expect(kinds(world.reconcile())).toEqual(['deleteJob']);
  expect(kinds(world.reconcile())).toEqual(['startBuild']);
});

test('nothing is started while suspended, and what runs ends well', () => {
  world.changeSpec({ suspend: true });
  const waiting = world.reconcile();
  expect(kinds(waiting)).toEqual([]);
  expect(reasons(waiting)).toEqual(['Suspended']);
  expect(conditionOf(waiting, 'Ready')).toBe('False Suspended');
  world.changeSpec({ suspend: false });
  world.reconcile();
  world.changeSpec({ suspend: true });
  world.endJob(onlyJob(), 'succeed');
  expect(conditionOf(world.reconcile(), 'Ready')).toBe('True Available');
});

test('a missing ConfigMap is waited for with the artifact in place; a running build is left alone', () => {
  world.reconcile();
  world.configMap = undefined;
  const waiting = world.reconcile();
  expect(conditionOf(waiting, 'Ready')).toBe('False ConfigNotFound');
  expect(kinds(waiting)).toEqual([]);
  expect(waiting.status.build).toBeDefined();
});

test('an artifact that is gone from storage leaves the status and is built anew', () => {
  built();
  world.stored.clear();
  world.jobs.clear();
  const decision = world.reconcile();
  expect(reasons(decision)).toEqual(['ArtifactMissing', 'Building']);
  expect(decision.status.artifact).toBeUndefined();
  built();
  expect(conditionOf(world.decide(), 'Ready')).toBe('True Available');
});

test('Jobs that ended are removed after a while, and that changes nothing', () => {
  built();
  const decision = world.decide();
  expect(decision.requeueAfterMs).toBe(3_600_000);
  world.now += 3_600_000;
  expect(kinds(world.reconcile())).toEqual(['deleteJob']);
  expect(world.decide()).toMatchObject({ verdict: 'current', statusChanged: false, actions: [] });
});

describe('whatever happens in whatever order', () => {
  const config = (n: number) => ({ kernel: { image: `k:${n}`, cmdline: '' }, init: [] });
  const step = oneof(
    {
      weight: 5,
      arbitrary: record({ kind: constant('reconcile' as const), steps: constantFrom(0, 1, 2, 99, 99, 99) }),
    },
    {
      weight: 4,
      arbitrary: record({
        kind: constant('job' as const),
        end: constantFrom(
          'run' as const,
          'succeed' as const,
          'fail for good' as const,
          'fail for now' as const,
          'lose pod' as const,
        ),
      }),
    },
    record({ kind: constant('spec' as const), n: integer({ min: 1, max: 3 }) }),
    record({ kind: constant('touch' as const), retries: integer({ min: 0, max: 3 }) }),
    record({ kind: constant('annotate' as const), value: constantFrom('a', 'b', undefined) }),
    record({ kind: constant('suspend' as const), value: boolean() }),
    record({ kind: constant('pass' as const), ms: constantFrom(1_000, 61_000, 3_600_000, 30 * 3_600_000) }),
    record({ kind: constant('configMap' as const), version: constantFrom('1', '2', undefined) }),
    record({ kind: constant('storage' as const), answers: boolean() }),
    record({ kind: constant('others' as const), atWork: integer({ min: 0, max: 2 }) }),
    constant({ kind: 'upstream' as const }),
    constant({ kind: 'delete jobs' as const }),
    constant({ kind: 'lose artifacts' as const }),
  );

  type Step = typeof step extends Arbitrary<infer Value> ? Value : never;

  function happen(each: Step): void {
    switch (each.kind) {
      case 'reconcile':
        checked(world.reconcile(each.steps));
        break;
      case 'job':
        for (const name of world.jobs.keys()) world.endJob(name, each.end);
        break;
      case 'spec':
        world.changeSpec({ config: config(each.n) });
        break;
      case 'touch':
        world.changeSpec({ build: { retries: each.retries } });
        break;
      case 'annotate':
        world.annotations = each.value === undefined ? {} : { [ANNOTATION_REBUILD]: each.value };
        break;
      case 'suspend':
        world.changeSpec({ suspend: each.value });
        break;
      case 'pass':
        world.now += each.ms;
        break;
      case 'configMap':
        world.configMap = each.version;
        break;
      case 'storage':
        world.storageAnswers = each.answers;
        break;
      case 'others':
        world.queue = othersAtWork(each.atWork);
        break;
      case 'upstream':
        world.upstream++;
        break;
      case 'delete jobs':
        world.jobs.clear();
        break;
      case 'lose artifacts':
        world.stored.clear();
        break;
    }
  }

  /** What holds for every decision. */
  function checked(decision: Decision): void {
    const { status, actions } = decision;
    const holds = (type: string): boolean =>
      status.conditions?.some((one) => one.type === type && one.status === 'True') ?? false;
    expect(holds('Stalled') && holds('Reconciling')).toBe(false);
    if (status.build !== undefined) expect(holds('Stalled')).toBe(false);
    expect(status.observedGeneration).toBe(world.generation);
    const other = status.conditions?.filter((one) => one.observedGeneration !== world.generation) ?? [];
    expect(other).toEqual([]);
    if (decision.verdict === 'current') expect(holds('Ready')).toBe(true);
    if (holds('Ready')) expect(status.artifact).toBeDefined();
    const starts = actions.filter(({ kind }) => kind === 'startBuild');
    expect(starts.length).toBeLessThanOrEqual(1);
    if (starts.length > 0) {
      expect(world.spec['suspend']).not.toBe(true);
      expect(world.queue?.running.get('other') ?? 0).toBeLessThan(2);
      // Written down before it is done, or a manager killed in between would leave a Job that nobody awaits.
      expect(status.build?.job).toBe((starts[0] as { attempt: { name: string } }).attempt.name);
    }
  }

  test('a decision that was carried out is not made again', () => {
    assert(
      property(array(step, { maxLength: 40 }), (steps) => {
        world = new ImageWorld();
        for (const each of steps) happen(each);
        // A failure that is found late is first put on record, then acted upon; hence a few passes.
        for (let pass = 0; pass < 5; pass++) checked(world.reconcile());
        const again = world.decide();
        expect(again.statusChanged, JSON.stringify(again.status)).toBe(false);
        expect(again.events).toEqual([]);
        expect(again.measures).toEqual([]);
        expect(again.actions).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  test('it ends ready, with one artifact of the present spec, as soon as things go well', () => {
    assert(
      property(array(step, { maxLength: 40 }), (steps) => {
        world = new ImageWorld();
        for (const each of steps) happen(each);
        world.storageAnswers = true;
        world.queue = othersAtWork(1);
        world.configMap = '9';
        world.changeSpec({ suspend: false, config: config(9) });
        for (let pass = 0; pass < 12; pass++) {
          const decision = world.reconcile();
          checked(decision);
          for (const name of world.jobs.keys()) world.endJob(name, 'succeed');
          world.now += Math.min(decision.requeueAfterMs ?? 0, 3_600_000);
        }
        const { verdict, status } = world.decide();
        expect(verdict).toBe('current');
        expect(conditionOf({ status }, 'Ready')).toBe('True Available');
        expect(status.artifact?.buildHash).toBe(world.snapshot().wanted?.hash);
        expect([...world.stored.keys()]).toContain(status.artifact?.digest);
        expect([...world.jobs.values()].filter(({ state }) => state === 'active')).toEqual([]);
        expect(status.lastFailure).toBeUndefined();
      }),
      { numRuns: 150 },
    );
  });

  test('a failing build never takes the artifact away', () => {
    assert(
      property(array(step, { maxLength: 40 }), (steps) => {
        world = new ImageWorld();
        built();
        const digest = world.status?.artifact?.digest;
        for (const each of steps) {
          if (each.kind === 'lose artifacts') continue;
          happen(
            each.kind === 'job' && (each.end === 'succeed' || each.end === 'lose pod')
              ? { ...each, end: 'fail for now' }
              : each,
          );
          expect(world.status?.artifact?.digest).toBe(digest);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('with other builds at work', () => {
  test('a build waits for its turn, says which it is, and begins when there is room', () => {
    world.queue = othersAtWork(2);
    const waits = world.reconcile();
    expect(kinds(waits)).toEqual([]);
    expect(reasons(waits)).toEqual(['BuildQueued']);
    expect(waits.status.build).toMatchObject({ reason: 'Created', phase: 'Queued' });
    expect(waits.status.conditions?.find(({ type }) => type === 'Reconciling')).toMatchObject({
      reason: 'BuildQueued',
      message: 'waits for its turn, 1 of 1: 2 builds in the cluster are at work, and no more may be',
    });
    expect(waits.requeueAfterMs).toBe(11_000);
    const again = world.reconcile();
    expect([again.statusChanged, reasons(again)]).toEqual([false, []]);
    world.now += 60_000;
    world.queue = othersAtWork(1);
    const begins = world.reconcile();
    expect([kinds(begins), reasons(begins)]).toEqual([['startBuild'], ['Building']]);
    expect(begins.status.build?.startTime).toBe(waits.status.build?.startTime);
    // What it waited for others does not lengthen the pauses between its own tries.
    const since = begins.status.conditions?.find(({ type }) => type === 'Reconciling')?.lastTransitionTime;
    expect(Date.parse(since ?? '')).toBe(world.now);
    expect(reasons(world.reconcile())).toEqual([]);
  });

  test('what waits is given up when the image is suspended', () => {
    world.queue = othersAtWork(2);
    world.reconcile();
    world.changeSpec({ suspend: true });
    expect(world.reconcile().status.build).toBeUndefined();
  });

  test('a refresh that waits leaves the image ready', () => {
    built();
    world.now += 26 * 3_600_000;
    world.queue = othersAtWork(2);
    const decision = world.reconcile();
    expect(decision.verdict).toBe('queued');
    expect(decision.status.build?.reason).toBe('Refresh');
    expect(conditionOf(decision, 'Ready')).toBe('True Available');
  });
});
