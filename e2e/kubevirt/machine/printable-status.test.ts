import { expect, it } from 'vitest';
import type { InstanceStatus, VirtualMachineInstance } from '../api/types.ts';
import { deleted, sampleInstance, sampleMachine } from '../sample.ts';
import { printableStatus } from './printable-status.ts';

const unsynchronized = (reason: string): InstanceStatus => ({
  phase: 'Scheduling',
  conditions: [{ type: 'Synchronized', status: 'False', reason }],
});

it.each<[string, VirtualMachineInstance | undefined]>([
  ['Stopped', undefined],
  ['Starting', sampleInstance({})],
  ['Starting', sampleInstance({ phase: 'Pending' })],
  ['Starting', sampleInstance({ phase: 'Scheduling' })],
  ['Starting', sampleInstance({ phase: 'Scheduled' })],
  ['Running', sampleInstance({ phase: 'Running' })],
  ['Paused', sampleInstance({ phase: 'Running', conditions: [{ type: 'Paused', status: 'True' }] })],
  ['Migrating', sampleInstance({ phase: 'Running', migrationState: { startTimestamp: 'x' } })],
  ['Running', sampleInstance({ phase: 'Running', migrationState: { targetPod: 'x' } })],
  [
    'Running',
    sampleInstance({ phase: 'Running', migrationState: { startTimestamp: 'x', endTimestamp: 'y' } }),
  ],
  ['Stopping', sampleInstance({ phase: 'Running' }, deleted)],
  ['Stopped', sampleInstance({ phase: 'Succeeded' }, deleted)],
  ['Stopped', sampleInstance({ phase: 'Failed' })],
  ['ErrImagePull', sampleInstance(unsynchronized('ErrImagePull'))],
  ['ImagePullBackOff', sampleInstance(unsynchronized('ImagePullBackOff'))],
  ['ErrorPvcNotFound', sampleInstance(unsynchronized('FailedPvcNotFound'))],
  ['Starting', sampleInstance(unsynchronized('Synchronizing with the Domain failed.'))],
  ['Starting', sampleInstance(unsynchronized('FailedCreate'))],
  [
    'ErrorUnschedulable',
    sampleInstance({
      phase: 'Scheduling',
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }],
    }),
  ],
])('%s: %#', (expected, vmi) => {
  expect(printableStatus(sampleMachine(), vmi, false)).toBe(expected);
});

it.each([
  ['Always', undefined, 'CrashLoopBackOff'],
  ['RerunOnFailure', undefined, 'CrashLoopBackOff'],
  ['Always', sampleInstance({ phase: 'Failed' }), 'CrashLoopBackOff'],
  ['Manual', undefined, 'Stopped'],
  ['Always', sampleInstance({ phase: 'Scheduling' }), 'Starting'],
] as const)('after starts that failed, under %s: %#', (runStrategy, vmi, expected) => {
  const vm = sampleMachine((each) => Object.assign(each.spec, { runStrategy }));
  expect(printableStatus(vm, vmi, true)).toBe(expected);
});

it('is Terminating while the machine goes, whatever its instance does', () => {
  expect(printableStatus(sampleMachine(deleted), sampleInstance({ phase: 'Running' }), false)).toBe(
    'Terminating',
  );
});
