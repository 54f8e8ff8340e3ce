import { expect, test } from 'vitest';
import type { Pod } from '../../runtime/resources.ts';
import { viewPod } from './pod-view.ts';

const pod = (status: unknown): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z' },
    status,
  }) as unknown as Pod;

const at = '2026-01-01T00:01:00Z';
const terminated = (more: object) => ({
  name: 'build',
  state: { terminated: { startedAt: at, finishedAt: at, ...more } },
});
const failed = (container: object | undefined, more: object = {}) =>
  pod({ phase: 'Failed', ...(container === undefined ? {} : { containerStatuses: [container] }), ...more });
const said = JSON.stringify({
  result: 'failed',
  failure: { step: 'pull', reason: 'DigestMismatch', message: 'layer 3' },
});

test.each([
  [
    'killed for memory',
    failed(terminated({ reason: 'OOMKilled', exitCode: 137 })),
    'OutOfMemory',
    /limits\.memory/,
  ],
  [
    'killed for memory after it had said something',
    failed(terminated({ reason: 'OOMKilled', exitCode: 137, message: said })),
    'OutOfMemory',
    /memory/,
  ],
  [
    'evicted',
    failed(undefined, { reason: 'Evicted', message: 'The node was low on resource: ephemeral-storage.' }),
    'Evicted',
    /ephemeral-storage/,
  ],
  [
    'preempted',
    failed(terminated({ exitCode: 143, reason: 'Error' }), {
      conditions: [
        {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'PreemptionByScheduler',
          message: 'preempted by x',
          lastTransitionTime: at,
        },
      ],
    }),
    'Evicted',
    /preempted by x/,
  ],
  [
    'too late',
    failed(terminated({ exitCode: 137 }), { reason: 'DeadlineExceeded' }),
    'DeadlineExceeded',
    /spec\.build\.timeout/,
  ],
  ['failed with a reason', failed(terminated({ exitCode: 75, message: said })), 'DigestMismatch', /layer 3/],
  [
    'ended without a word',
    failed(terminated({ exitCode: 1, reason: 'Error' })),
    'InternalError',
    /exit code 1/,
  ],
  [
    'killed by whomever',
    failed(terminated({ exitCode: 137, reason: 'Error' })),
    'InternalError',
    /was killed/,
  ],
  [
    'claiming success',
    failed(terminated({ exitCode: 1, message: '{"result":"succeeded"}' })),
    'InternalError',
    /exit code 1/,
  ],
  [
    'lost with its node',
    failed(undefined, { reason: 'NodeLost', message: 'Node n was lost' }),
    'PodLost',
    /NodeLost: Node n was lost/,
  ],
  [
    'refused by the kubelet',
    failed(undefined, { reason: 'OutOfcpu', message: 'Pod was rejected' }),
    'PodRefused',
    /rejected/,
  ],
  [
    'refused with an unexpected admission',
    failed(undefined, { reason: 'UnexpectedAdmissionError' }),
    'PodRefused',
    /Unexpected/,
  ],
])('a pod %s', (_, object, reason, message) => {
  const view = viewPod(object);
  expect(view.state).toBe('failed');
  expect(view.failure?.reason).toBe(reason);
  expect(view.failure?.message).toMatch(message);
  expect(view.failure?.pod).toBe('p');
  expect(view.failure?.at).toBeGreaterThan(0);
});

test.each([
  [
    'unschedulable',
    {
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }],
    },
    'PodUnschedulable',
  ],
  [
    'whose image cannot be pulled',
    {
      containerStatuses: [
        { name: 'build', state: { waiting: { reason: 'ImagePullBackOff', message: 'back-off' } } },
      ],
    },
    'BuilderImagePullFailed',
  ],
  [
    'with a wrong image name',
    { containerStatuses: [{ name: 'build', state: { waiting: { reason: 'InvalidImageName' } } }] },
    'BuilderImagePullFailed',
  ],
  [
    'whose container cannot be made',
    {
      containerStatuses: [
        {
          name: 'build',
          state: { waiting: { reason: 'CreateContainerConfigError', message: 'runAsNonRoot' } },
        },
      ],
    },
    'PodRefused',
  ],
  [
    'being started',
    { containerStatuses: [{ name: 'build', state: { waiting: { reason: 'ContainerCreating' } } }] },
    undefined,
  ],
  ['just made', {}, undefined],
])('a pending pod, %s', (_, status, reason) => {
  const view = viewPod(pod({ phase: 'Pending', ...status }));
  expect(view.state).toBe('pending');
  expect(view.waiting?.reason).toBe(reason);
});

test('a running pod tells since when, a succeeded one what it made', () => {
  expect(
    viewPod(
      pod({
        phase: 'Running',
        containerStatuses: [{ name: 'build', state: { running: { startedAt: at } } }],
      }),
    ),
  ).toMatchObject({
    state: 'running',
    startedAt: Date.parse(at),
  });
  const message = JSON.stringify({
    result: 'succeeded',
    digest: `sha256:${'a'.repeat(64)}`,
    reused: true,
    seconds: {},
    bytesPulled: 0,
    bytesStored: 0,
  });
  expect(
    viewPod(pod({ phase: 'Succeeded', containerStatuses: [terminated({ exitCode: 0, message })] })).outcome,
  ).toMatchObject({ reused: true });
  expect(viewPod(pod(undefined)).state).toBe('pending');
});
