import { expect, it } from 'vitest';
import type { VirtualMachineInstance } from '../api/types.ts';
import { sampleInstance, sampleMachine } from '../sample.ts';
import { answerSubresource, type SubresourceVerb } from './subresources.ts';

const running = sampleInstance({ phase: 'Running' });
const ended = sampleInstance({ phase: 'Succeeded' });
const uid = running.metadata.uid;
const stop = { action: 'Stop', uid };
const start = { action: 'Start' };

it.each<[SubresourceVerb, string, VirtualMachineInstance | undefined, object]>([
  ['restart', 'Always', running, { requests: [stop, start] }],
  ['restart', 'Manual', running, { requests: [stop, start] }],
  ['restart', 'RerunOnFailure', running, { requests: [stop, start] }],
  ['restart', 'Halted', running, { status: 409, message: 'Halted does not support manual restart requests' }],
  ['restart', 'Once', running, { status: 409 }],
  ['restart', 'Always', undefined, { status: 409 }],
  ['restart', 'Manual', ended, { status: 409 }],
  ['start', 'Halted', undefined, { runStrategy: 'Always' }],
  ['start', 'Manual', undefined, { requests: [start] }],
  ['start', 'Manual', ended, { requests: [stop, start] }],
  ['start', 'Manual', running, { status: 409, message: 'VM is already running' }],
  ['start', 'Always', undefined, { status: 409 }],
  ['stop', 'Always', running, { runStrategy: 'Halted' }],
  ['stop', 'Once', running, { runStrategy: 'Halted' }],
  ['stop', 'Manual', running, { requests: [stop] }],
  ['stop', 'Manual', undefined, { status: 409 }],
  ['stop', 'Halted', undefined, { status: 409 }],
])('%s under %s: %#', (verb, runStrategy, vmi, answer) => {
  const vm = sampleMachine((each) => Object.assign(each.spec, { runStrategy }));
  expect(answerSubresource(verb, vm, vmi, { force: false })).toMatchObject(answer);
});

it('a second request while one is under way is an internal error, as in KubeVirt', () => {
  const vm = sampleMachine((each) => Object.assign(each, { status: { stateChangeRequests: [stop, start] } }));
  expect(answerSubresource('restart', vm, running, { force: false })).toEqual({
    status: 500,
    message: 'unable to complete request: stop/start already underway',
  });
});
