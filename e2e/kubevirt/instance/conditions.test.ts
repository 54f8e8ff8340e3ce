import { describe, expect, it } from 'vitest';
import { findCondition } from '../api/conditions.ts';
import type { Condition, Pod } from '../api/types.ts';
import type { DomainState } from '../launcher/domain.ts';
import { deleted, NOW, ready, sampleInstance, samplePod } from '../sample.ts';
import { instanceConditions } from './conditions.ts';

function conditions(
  phase: string,
  pod: Pod | undefined,
  more: { domain?: DomainState; before?: Condition[]; readyIsStale?: boolean } = {},
): Condition[] {
  return instanceConditions({
    vmi: sampleInstance({ phase, ...(more.before === undefined ? {} : { conditions: more.before }) }),
    pod,
    phase,
    domain: more.domain,
    trouble: undefined,
    claims: new Map(),
    readyIsStale: more.readyIsStale ?? false,
    now: NOW,
  });
}

describe('Ready', () => {
  it.each<[string, string, Pod | undefined, string | undefined]>([
    ['there is no pod', 'Pending', undefined, 'PodNotExists'],
    ['the pod is being deleted', 'Running', samplePod({ running: {} }, deleted), 'PodTerminating'],
    ['QEMU does not run yet', 'Scheduled', samplePod({ running: {} }, ready), 'GuestNotRunning'],
    ['the probe fails', 'Running', samplePod({ running: {} }), 'ContainersNotReady'],
    [
      'the pod says nothing',
      'Running',
      samplePod({ running: {} }, (pod) => delete pod.status?.conditions),
      'PodConditionMissing',
    ],
    ['the pod is ready', 'Running', samplePod({ running: {} }, ready), undefined],
  ])('when %s', (_name, phase, pod, reason) => {
    const condition = findCondition(conditions(phase, pod), 'Ready');
    expect(condition?.status).toBe(reason === undefined ? 'True' : 'False');
    expect(condition?.reason).toBe(reason);
  });

  it('moves its time only when its status moves', () => {
    const before: Condition[] = [
      { type: 'Ready', status: 'False', lastTransitionTime: '2020-01-01T00:00:00Z' },
    ];
    const still = findCondition(conditions('Running', samplePod({ running: {} }), { before }), 'Ready');
    expect(still?.lastTransitionTime).toBe('2020-01-01T00:00:00Z');
    const now = findCondition(conditions('Running', samplePod({ running: {} }, ready), { before }), 'Ready');
    expect(now?.lastTransitionTime).toBe('2026-01-02T03:04:05Z');
  });

  it('is not looked at again right after an end', () => {
    const before: Condition[] = [{ type: 'Ready', status: 'True' }];
    const over = samplePod({ terminated: { exitCode: 0 } });
    expect(
      findCondition(conditions('Succeeded', over, { before, readyIsStale: true }), 'Ready')?.status,
    ).toBe('True');
    expect(findCondition(conditions('Succeeded', over, { before }), 'Ready')?.status).toBe('False');
  });
});

describe('Synchronized', () => {
  it.each<[string, string, Pod, DomainState | undefined, string | undefined]>([
    [
      'a failing pull',
      'Scheduling',
      samplePod({ waiting: { reason: 'ErrImagePull' } }),
      undefined,
      'ErrImagePull',
    ],
    [
      'a failing pull of an init container',
      'Scheduling',
      initPod('ImagePullBackOff'),
      undefined,
      'ImagePullBackOff',
    ],
    [
      'an unparsable reference, in silence',
      'Scheduling',
      samplePod({ waiting: { reason: 'InvalidImageName' } }),
      undefined,
      undefined,
    ],
    [
      'a container that cannot be created, in silence',
      'Scheduling',
      samplePod({ waiting: { reason: 'CreateContainerError' } }),
      undefined,
      undefined,
    ],
    [
      'a file that QEMU cannot open',
      'Scheduled',
      samplePod({ running: {} }),
      { state: 'failed', message: 'no kernel' },
      'Synchronizing with the Domain failed.',
    ],
    ['a machine that starts', 'Scheduled', samplePod({ running: {} }), { state: 'starting' }, undefined],
    [
      'a pull that fails only for a migration',
      'Running',
      samplePod({ waiting: { reason: 'ErrImagePull' } }),
      undefined,
      undefined,
    ],
  ])('for %s', (_name, phase, pod, domain, reason) => {
    const condition = findCondition(
      conditions(phase, pod, domain === undefined ? {} : { domain }),
      'Synchronized',
    );
    expect(condition?.reason).toBe(reason);
    if (domain?.message !== undefined) expect(condition?.message).toContain(domain.message);
  });

  it('goes when the image can be pulled after all', () => {
    const before: Condition[] = [{ type: 'Synchronized', status: 'False', reason: 'ErrImagePull' }];
    expect(
      findCondition(conditions('Scheduling', samplePod({ running: {} }), { before }), 'Synchronized'),
    ).toBeUndefined();
  });
});

it('PodScheduled shows what the scheduler says', () => {
  const pod = samplePod({ waiting: {} }, ({ status }) => {
    status?.conditions?.push({
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: 'no node',
    });
  });
  expect(findCondition(conditions('Scheduling', pod), 'PodScheduled')).toMatchObject({
    status: 'False',
    reason: 'Unschedulable',
    message: 'no node',
  });
});

function initPod(reason: string): Pod {
  return samplePod({ waiting: { reason: 'PodInitializing' } }, ({ status }) => {
    if (status !== undefined)
      status.initContainerStatuses = [
        { name: 'volumekernel-boot-volume', ready: false, state: { waiting: { reason } } },
      ];
  });
}
