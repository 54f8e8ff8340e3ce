import { array, assert, constantFrom, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Artifact } from '../../api/image.ts';
import { historyWith } from './artifact.ts';
import { nextDeletionStep } from './deletion.ts';
import { imageWith } from './image-under-test.ts';
import type { JobView } from './job-view.ts';
import type { MachineObject } from './objects.ts';
import { obstacleOf } from './obstacle.ts';
import { digestsInUse } from './usage.ts';

const machine = (name: string, more: Partial<MachineObject>): MachineObject => ({
  apiVersion: 'linuxkit.dev/v1alpha1',
  kind: 'LinuxKitMachine',
  metadata: { name, namespace: 'n' },
  ...more,
});

test('a machine holds what it pins, what it is to boot or may go back to, and whatever any of its VMs has booted', () => {
  const found = digestsInUse([
    machine('a', { spec: { imageRef: { name: 'web', digest: 'd1' } } }),
    machine('b', {
      status: {
        currentDigest: 'd1',
        targetDigest: 'd2',
        machines: [{ bootedDigest: 'd3' }, {}, { bootedDigest: 'd1' }],
      },
    }),
    machine('c', { status: { revisions: [{ digest: 'd4' }, { digest: 'd2' }, {}] } }),
    machine('d', {}),
  ]);
  expect(Object.fromEntries(found)).toEqual({ d1: ['a', 'b'], d2: ['b', 'c'], d3: ['b'], d4: ['c'] });
});

const artifact = (digest: string, inputs = 0): Artifact =>
  ({ digest, inputs: Array.from({ length: inputs }, () => ({})) }) as unknown as Artifact;

describe('history', () => {
  test('has the newest first, each once, and never the present one', () => {
    assert(
      property(
        array(constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { maxLength: 40 }),
        integer({ min: 0, max: 5 }),
        array(constantFrom('a', 'b', 'c')),
        (built, limit, used) => {
          const inUse = new Map<string, string[]>(used.map((digest) => [digest, ['vm']]));
          let before: { artifact?: Artifact; history: readonly Artifact[] } = { history: [] };
          for (const digest of built) {
            const history = historyWith(before, digest, limit, inUse);
            const digests = history.map((one): string => one.digest);
            expect(new Set(digests).size).toBe(digests.length);
            expect(digests).not.toContain(digest);
            expect(digests.filter((one) => !inUse.has(one)).length).toBeLessThanOrEqual(limit);
            // What a machine holds is never let go.
            const known = [before.artifact, ...before.history].flatMap((one): string[] =>
              one === undefined ? [] : [one.digest],
            );
            for (const one of known) if (inUse.has(one) && one !== digest) expect(digests).toContain(one);
            before = { artifact: artifact(digest), history };
          }
        },
      ),
    );
  });

  test('says of old artifacts no more of what they were made than there is room for', () => {
    const before = {
      artifact: artifact('a', 400),
      history: [artifact('b', 500), artifact('c', 400), artifact('d', 0)],
    };
    const lengths = historyWith(before, 'new', 9, new Map()).map(({ inputs }) => inputs.length);
    expect(lengths).toEqual([400, 500, 0, 0]);
  });

  test('stays as it is while nothing new is built', () => {
    const before = { artifact: artifact('c'), history: [artifact('b'), artifact('a')] };
    expect(historyWith(before, 'c', 3, new Map())).toEqual(before.history);
  });
});

describe('deletion', () => {
  const job = (more: Partial<JobView> = {}): JobView => ({ ours: true, deleting: false, ...more }) as JobView;
  const nothing = { jobs: [], pods: 0, stored: ['d1'], inUse: new Map<string, string[]>() };
  test.each([
    ['running builds are ended first', { ...nothing, jobs: [job()] }, 'Delete', 'cancelBuilds'],
    ['and waited for', { ...nothing, jobs: [job({ deleting: true })] }, 'Delete', 'awaitBuilds'],
    ['with their pods', { ...nothing, pods: 1 }, 'Retain', 'awaitBuilds'],
    ['then objects go', nothing, 'Delete', 'removeObjects'],
    ['unless a machine holds one', { ...nothing, inUse: new Map([['d1', ['vm']]]) }, 'Delete', 'blocked'],
    ['one of this image', { ...nothing, inUse: new Map([['other', ['vm']]]) }, 'Delete', 'removeObjects'],
    ['or they shall be kept', { ...nothing, inUse: new Map([['d1', ['vm']]]) }, 'Retain', 'release'],
  ] as const)('%s', (_, found, deletionPolicy, step) => {
    expect(nextDeletionStep(imageWith({ spec: { deletionPolicy } }), found).kind).toBe(step);
  });
});

describe('what a stuck pod’s events say', () => {
  const event = (reason: string, message: string, time: string) =>
    ({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: reason },
      reason,
      message,
      lastTimestamp: time,
    }) as const;
  test.each([
    [
      'FailedMount',
      'MountVolume.SetUp failed for volume "config" : secret "s" not found',
      'ConfigNotFound',
      'secret "s" not found',
    ],
    [
      'FailedMount',
      'MountVolume.SetUp failed for volume "files" : references non-existent secret key: id',
      'ConfigNotFound',
      'references non-existent secret key: id',
    ],
    ['FailedMount', 'MountVolume.SetUp failed for volume "work" : no space', 'PodRefused', 'no space'],
    ['FailedScheduling', '0/1 nodes are available', 'PodUnschedulable', '0/1 nodes are available'],
    ['FailedCreate', 'exceeded quota', 'PodRefused', 'exceeded quota'],
  ])('%s: %s', (reason, message, is, told) => {
    expect(obstacleOf([event(reason, message, '2026-01-01T00:00:00Z')])).toEqual({
      reason: is,
      message: told,
    });
  });

  test('the newest counts, and what is no obstacle is none', () => {
    const old = event('FailedScheduling', 'x', '2026-01-01T00:00:00Z');
    expect(obstacleOf([old, event('Unhealthy', 'y', '2026-01-01T00:00:05Z')])).toBeUndefined();
    expect(obstacleOf([event('BackOff', 'y', '2025-12-31T00:00:05Z'), old])?.reason).toBe('PodUnschedulable');
    expect(obstacleOf([])).toBeUndefined();
  });
});
