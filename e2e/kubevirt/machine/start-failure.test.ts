import { describe, expect, it } from 'vitest';
import type { InstanceStatus, StartFailure } from '../api/types.ts';
import { KUBEVIRT_PAUSES } from '../pauses.ts';
import { later, NOW, sampleInstance, sampleMachine } from '../sample.ts';
import { isHeldBack, startFailureOf } from './start-failure.ts';

const ran = [{ phase: 'Running', phaseTransitionTimestamp: '' }];

function failure(count: number, uid = 'before'): StartFailure {
  return { consecutiveFailCount: count, lastFailedVMIUID: uid, retryAfterTimestamp: NOW.toISOString() };
}

function after(previous: StartFailure | undefined, status: InstanceStatus | undefined) {
  const vm = sampleMachine((each) => {
    each.status = previous === undefined ? {} : { startFailure: previous };
  });
  const vmi = status === undefined ? undefined : sampleInstance(status);
  return startFailureOf(vm, vmi, KUBEVIRT_PAUSES, NOW);
}

describe('starts that fail', () => {
  it.each([
    [undefined, 1, 13],
    [failure(1), 2, 52],
    [failure(2), 3, 117],
    [failure(3), 4, 208],
    [failure(4), 5, 300],
    [failure(9), 10, 300],
  ])('%# are counted, with longer and longer pauses', (previous, count, seconds) => {
    const counted = after(previous, { phase: 'Failed' });
    expect(counted?.consecutiveFailCount).toBe(count);
    expect(Date.parse(counted?.retryAfterTimestamp ?? '')).toBe(later(seconds).getTime());
  });

  it('count once an instance', () => {
    const uid = sampleInstance().metadata.uid;
    expect(after(failure(1, uid), { phase: 'Failed' })?.consecutiveFailCount).toBe(1);
  });

  it.each<[string, StartFailure | undefined, InstanceStatus | undefined, number | undefined]>([
    ['one that ran', failure(2), { phase: 'Failed', phaseTransitionTimestamps: ran }, undefined],
    ['one that runs', failure(2), { phase: 'Running', phaseTransitionTimestamps: ran }, undefined],
    ['one that starts', failure(2), { phase: 'Scheduling' }, 2],
    ['none at all', failure(2), undefined, 2],
    ['none ever', undefined, undefined, undefined],
  ])('after %s', (_name, previous, status, count) => {
    expect(after(previous, status)?.consecutiveFailCount).toBe(count);
  });

  it('hold the next one back until their time', () => {
    expect(isHeldBack({ ...failure(1), retryAfterTimestamp: later(1).toISOString() }, NOW)).toBe(true);
    expect(isHeldBack(failure(1), NOW)).toBe(false);
    expect(isHeldBack(undefined, NOW)).toBe(false);
  });
});
