import { expect, it } from 'vitest';
import type { Pod } from '../api/types.ts';
import type { DomainState } from '../launcher/domain.ts';
import { deleted, sampleInstance, samplePod } from '../sample.ts';
import { nextPhase } from './phase.ts';

const waiting = samplePod({ waiting: { reason: 'PodInitializing' } });
const runs = samplePod({ running: {} });
const off = samplePod({ terminated: { exitCode: 0 } });
const dead = samplePod({ terminated: { exitCode: 1 } });
const moved = samplePod({ terminated: { exitCode: 0, message: 'migrated' } });
const leaving = samplePod({ running: {} }, deleted);
const evicted = samplePod({ waiting: {} }, (pod) => {
  if (pod.status !== undefined) pod.status.phase = 'Failed';
});

type Row = [
  before: string,
  deleting: boolean,
  pod: Pod | undefined,
  domain: DomainState['state'] | undefined,
  after: string,
];

it.each<Row>([
  ['', false, undefined, undefined, 'Pending'],
  ['', true, undefined, undefined, 'Failed'],
  ['Pending', false, undefined, undefined, 'Pending'],
  ['Pending', true, undefined, undefined, 'Failed'],
  ['Pending', false, runs, 'running', 'Scheduling'],
  ['Scheduling', false, waiting, undefined, 'Scheduling'],
  ['Scheduling', false, runs, 'running', 'Scheduled'],
  ['Scheduling', false, undefined, undefined, 'Failed'],
  ['Scheduling', true, samplePod({ waiting: {} }, deleted), undefined, 'Failed'],
  ['Scheduling', false, dead, undefined, 'Failed'],
  ['Scheduling', false, evicted, undefined, 'Failed'],
  ['Scheduled', false, runs, undefined, 'Scheduled'],
  ['Scheduled', false, runs, 'starting', 'Scheduled'],
  ['Scheduled', false, runs, 'failed', 'Scheduled'],
  ['Scheduled', true, leaving, 'failed', 'Scheduled'],
  ['Scheduled', true, dead, undefined, 'Failed'],
  ['Scheduled', false, runs, 'running', 'Running'],
  ['Scheduled', false, off, undefined, 'Running'],
  ['Running', false, runs, undefined, 'Running'],
  ['Running', true, leaving, undefined, 'Running'],
  ['Running', false, off, undefined, 'Succeeded'],
  ['Running', true, off, undefined, 'Succeeded'],
  ['Running', false, dead, undefined, 'Failed'],
  ['Running', false, evicted, undefined, 'Failed'],
  ['Running', false, undefined, undefined, 'Failed'],
  ['Running', true, undefined, undefined, 'Succeeded'],
  ['Running', false, moved, undefined, 'Failed'],
  ['Succeeded', false, runs, 'running', 'Succeeded'],
  ['Failed', true, undefined, undefined, 'Failed'],
])('%j (deleting: %s) with pod %# becomes what it must', (phase, deleting, pod, state, after) => {
  const vmi = sampleInstance({ phase }, (each) => {
    if (deleting) deleted(each);
  });
  expect(nextPhase(vmi, pod, state === undefined ? undefined : { state })).toBe(after);
});
