import { expect, it } from 'vitest';
import type { StateChangeRequest, VirtualMachineInstance } from '../api/types.ts';
import { deleted, sampleInstance, sampleMachine } from '../sample.ts';
import { decideRun } from './run-strategy.ts';

const START: StateChangeRequest = { action: 'Start' };
const STOP: StateChangeRequest = { action: 'Stop', uid: sampleInstance().metadata.uid ?? '' };
const running = sampleInstance({ phase: 'Running' });
const succeeded = sampleInstance({ phase: 'Succeeded' });
const failed = sampleInstance({ phase: 'Failed' });
const going = sampleInstance({ phase: 'Running' }, deleted);
const failedAndGoing = sampleInstance({ phase: 'Failed' }, deleted);

type Row = [
  what: string,
  strategy: string,
  vmi: VirtualMachineInstance | undefined,
  requests: StateChangeRequest[],
  decided: 'start' | 'stop' | 'nothing',
  left: StateChangeRequest[],
];

it.each<Row>([
  ['starts', 'Always', undefined, [], 'start', []],
  ['keeps what runs', 'Always', running, [], 'nothing', []],
  ['replaces what powered off', 'Always', succeeded, [], 'stop', []],
  ['replaces what failed', 'Always', failed, [], 'stop', []],
  ['waits for what goes', 'Always', going, [], 'nothing', []],
  ['stops on request, and remembers the start', 'Always', running, [STOP, START], 'stop', [STOP, START]],
  ['starts when the stop is done', 'Always', undefined, [STOP, START], 'start', [START]],
  ['forgets a start that is done', 'Always', running, [START], 'nothing', []],
  [
    'forgets a stop of another instance',
    'Always',
    running,
    [{ action: 'Stop', uid: 'old' }, START],
    'nothing',
    [],
  ],
  ['removes what powered off, for good', 'RerunOnFailure', succeeded, [], 'stop', []],
  ['stays away then', 'RerunOnFailure', undefined, [], 'nothing', []],
  ['runs again what failed', 'RerunOnFailure', failed, [], 'stop', [START]],
  ['remembers that while it goes', 'RerunOnFailure', failedAndGoing, [START], 'nothing', [START]],
  ['and starts', 'RerunOnFailure', undefined, [START], 'start', [START]],
  ['leaves alone what ended', 'Once', succeeded, [], 'nothing', []],
  ['runs again when its instance is deleted', 'Once', undefined, [], 'start', []],
  ['does nothing unasked', 'Manual', undefined, [], 'nothing', []],
  ['leaves alone what ended', 'Manual', failed, [], 'nothing', []],
  ['starts on request', 'Manual', undefined, [START], 'start', [START]],
  ['stops on request', 'Manual', running, [STOP], 'stop', [STOP]],
  ['stops', 'Halted', running, [], 'stop', []],
  ['stays stopped', 'Halted', undefined, [], 'nothing', []],
])('%s: %s', (_what, runStrategy, vmi, stateChangeRequests, decided, left) => {
  const vm = sampleMachine((each) => {
    each.spec.runStrategy = runStrategy;
    each.status = { runStrategy, stateChangeRequests };
  });
  const { start, stop, requests } = decideRun(vm, vmi);
  expect({ start, stop }).toEqual({ start: decided === 'start', stop: decided === 'stop' });
  expect(requests).toEqual(left);
});

it('lets a halted machine run always once it is asked to start', () => {
  const vm = sampleMachine((each) => {
    each.spec.runStrategy = 'Halted';
    each.status = { stateChangeRequests: [START] };
  });
  expect(decideRun(vm, undefined)).toMatchObject({ start: false, runStrategy: 'Always' });
  expect(decideRun(vm, running)).toMatchObject({ stop: true });
});

it('starts a machine that is new under RerunOnFailure, or comes from another strategy', () => {
  const vm = (runStrategy?: string) =>
    sampleMachine((each) => {
      each.spec.runStrategy = 'RerunOnFailure';
      each.status = runStrategy === undefined ? {} : { runStrategy };
    });
  expect(decideRun(vm(), undefined).start).toBe(true);
  expect(decideRun(vm('Halted'), undefined).start).toBe(true);
  expect(decideRun(vm('RerunOnFailure'), undefined).start).toBe(false);
});

it('takes `running` for Always and Halted', () => {
  const vm = (running: boolean) =>
    sampleMachine((each) => {
      delete each.spec.runStrategy;
      each.spec.running = running;
    });
  expect(decideRun(vm(true), undefined).start).toBe(true);
  expect(decideRun(vm(false), running).stop).toBe(true);
});
