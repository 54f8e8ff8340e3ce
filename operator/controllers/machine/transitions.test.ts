import { describe, expect, test } from 'vitest';
import type { MachineRow, MachineStatus } from '../../api/machine.ts';
import { sampleArtifact, sampleMachine } from '../../kubevirt/sample.ts';
import { FleetModel } from './fleet-model.ts';
import { transitions } from './transitions.ts';

const row = (changes: Partial<MachineRow>): MachineRow => ({
  name: 'web-0',
  ordinal: 0,
  phase: 'Running',
  ready: true,
  updated: true,
  ...changes,
});

function told(before: MachineRow, after: MachineRow): readonly string[] {
  const status = (each: MachineRow): MachineStatus => ({ machines: [each] });
  return transitions(status(before), status(after), { notFound: undefined }).map(
    ({ type, reason, note }) => `${type} ${reason}: ${note}`,
  );
}

describe('of a single machine it is told', () => {
  test.each<[string, MachineRow, MachineRow, readonly string[]]>([
    [
      'that its guest is not ready any more',
      row({}),
      row({ ready: false }),
      ['Warning GuestNotReady: web-0 is not ready any more'],
    ],
    [
      'that its guest has ended',
      row({}),
      row({ ready: false, phase: 'Starting' }),
      ['Warning GuestEnded: web-0 has ended, and starts again'],
    ],
    [
      'that it does not start',
      row({ ready: false, phase: 'Starting' }),
      row({ ready: false, phase: 'Failing', message: 'ErrImagePull: no' }),
      ['Warning MachineFailing: web-0: ErrImagePull: no'],
    ],
    [
      'that it is left alone',
      row({}),
      row({ detached: true }),
      ['Normal MachineDetached: web-0 is left alone'],
    ],
    [
      'that it no longer is',
      row({ detached: true }),
      row({}),
      ['Normal MachineAttached: web-0 is looked after again'],
    ],
    ['nothing while it is restarted', row({}), row({ ready: false, phase: 'Stopping' }), []],
    [
      'nothing while it comes up',
      row({ ready: false, phase: 'Starting' }),
      row({ ready: false, phase: 'Running' }),
      [],
    ],
    ['nothing that was told before', row({ ready: false }), row({ ready: false }), []],
  ])('%s', (_title, before, after, expected) => {
    expect(told(before, after)).toEqual(expected);
  });
});

test('a guest that comes back completes no rollout', () => {
  const model = new FleetModel(sampleMachine());
  model.settle();
  model.artifact = sampleArtifact({}, 'b');
  const reasons = (): readonly string[] =>
    model.settle().flatMap(({ observed }) => observed.map(({ reason }) => reason));
  expect(reasons()).toEqual(['RolloutStarted', 'RolloutComplete']);
  model.crash('web-0');
  expect(reasons()).toEqual(['UpToDate']);
});
