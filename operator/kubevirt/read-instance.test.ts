import { describe, expect, test } from 'vitest';
import { readInstance } from './read-instance.ts';
import { renderVirtualMachine } from './render.ts';
import { sampleArtifact, sampleDigest, sampleMachine } from './sample.ts';
import type {
  KubeVirtCondition,
  LauncherPod,
  VirtualMachine,
  VirtualMachineInstance,
  VirtualMachineInstanceStatus,
  VirtualMachineStatus,
} from './types.ts';

const revision = { name: 'web-1', artifact: sampleArtifact(), restart: 'T1' };
const rendered = renderVirtualMachine(sampleMachine(), 0, revision, { bootRegistryHost: '127.0.0.1:30500' });

function vm(status: VirtualMachineStatus = {}, runStrategy = 'Always'): VirtualMachine {
  return { ...rendered, spec: { ...rendered.spec, runStrategy }, status };
}

function vmi(status: VirtualMachineInstanceStatus = {}, deletionTimestamp?: string): VirtualMachineInstance {
  const { annotations = {} } = rendered.spec.template.metadata ?? {};
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      name: 'web-0',
      uid: 'vmi-1',
      annotations,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
    spec: rendered.spec.template.spec,
    status,
  };
}

const ready: KubeVirtCondition = {
  type: 'Ready',
  status: 'True',
  lastTransitionTime: '2026-11-24T10:00:00Z',
};
const notSynchronized = (reason: string, message: string): KubeVirtCondition => ({
  type: 'Synchronized',
  status: 'False',
  reason,
  message,
});

function pod(reason: string, message?: string): LauncherPod {
  const waiting = message === undefined ? { reason } : { reason, message };
  return {
    metadata: { name: 'virt-launcher-web-0' },
    status: { containerStatuses: [{ name: 'compute', state: { waiting } }] },
  };
}

describe('phase', () => {
  test.each<[string, VirtualMachine | undefined, VirtualMachineInstance | undefined, string]>([
    ['nothing there', undefined, undefined, 'Missing'],
    ['just made', vm(), undefined, 'Pending'],
    ['halted', vm({ printableStatus: 'Stopped' }, 'Halted'), undefined, 'Stopped'],
    ['made, and not in our copy yet', vm({ created: true }, 'RerunOnFailure'), undefined, 'Starting'],
    ['halted, and not gone from its status yet', vm({ created: true }, 'Halted'), undefined, 'Stopped'],
    [
      'being deleted',
      { ...vm(), metadata: { ...rendered.metadata, deletionTimestamp: 'x' } },
      undefined,
      'Stopping',
    ],
    ['between stop and start', vm({ stateChangeRequests: [{}, {}] }, 'Manual'), undefined, 'Starting'],
    ['instance made', vm(), vmi(), 'Pending'],
    ['instance scheduled', vm(), vmi({ phase: 'Scheduled' }), 'Starting'],
    ['running', vm(), vmi({ phase: 'Running' }), 'Running'],
    ['paused', vm(), vmi({ phase: 'Running', conditions: [{ type: 'Paused', status: 'True' }] }), 'Paused'],
    ['migrating', vm(), vmi({ phase: 'Running', migrationState: {} }), 'Migrating'],
    ['migrated', vm(), vmi({ phase: 'Running', migrationState: { completed: true } }), 'Running'],
    ['ending', vm(), vmi({ phase: 'Running' }, '2026-11-24T10:00:00Z'), 'Stopping'],
    ['ended, to be started again', vm(), vmi({ phase: 'Succeeded' }), 'Starting'],
    ['ended for good', vm({}, 'RerunOnFailure'), vmi({ phase: 'Succeeded' }), 'Stopped'],
    ['failed, to be started again', vm({}, 'RerunOnFailure'), vmi({ phase: 'Failed' }), 'Starting'],
    ['failed for good', vm({}, 'Manual'), vmi({ phase: 'Failed' }), 'Stopped'],
    ['just made, to be started', vm({}, 'RerunOnFailure'), undefined, 'Pending'],
    ['just made, to wait', vm({}, 'Manual'), undefined, 'Stopped'],
    [
      'ended for good, and gone',
      vm({ printableStatus: 'Stopped', runStrategy: 'RerunOnFailure' }, 'RerunOnFailure'),
      undefined,
      'Stopped',
    ],
    [
      'halted until now',
      vm({ printableStatus: 'Stopped', runStrategy: 'Halted' }, 'RerunOnFailure'),
      undefined,
      'Pending',
    ],
    ['its node is lost', vm(), vmi({ phase: 'Unknown' }), 'Failing'],
  ])('%s: %#', (_title, machine, instance, phase) => {
    expect(readInstance(machine, instance, []).phase).toBe(phase);
  });
});

describe('ready', () => {
  test('is the condition of the instance, with its time', () => {
    expect(readInstance(vm(), vmi({ phase: 'Running', conditions: [ready] }), [])).toMatchObject({
      ready: true,
      readySince: '2026-11-24T10:00:00Z',
    });
  });

  test.each([
    ['of a machine whose instance is gone', vm({ ready: true, printableStatus: 'Stopped' }), undefined],
    ['of an instance that ends', vm({ ready: true }), vmi({ phase: 'Running', conditions: [ready] }, 'x')],
    ['of an instance that has ended', vm({ ready: true }), vmi({ phase: 'Succeeded', conditions: [ready] })],
  ])('is not %s', (_title, machine, instance) => {
    expect(readInstance(machine, instance, []).ready).toBe(false);
  });
});

describe('trouble', () => {
  test.each<
    [string, VirtualMachine, VirtualMachineInstance | undefined, readonly LauncherPod[], string, string]
  >([
    [
      'an image that cannot be pulled',
      vm({ printableStatus: 'ImagePullBackOff' }),
      vmi({ phase: 'Pending', conditions: [notSynchronized('ImagePullBackOff', 'Back-off pulling image')] }),
      [],
      'ImagePullBackOff',
      'Back-off pulling image',
    ],
    [
      'a kernel that is not in the image',
      vm({ printableStatus: 'Starting' }),
      vmi({
        phase: 'Scheduled',
        conditions: [notSynchronized('Synchronizing with the Domain failed.', 'no kernel')],
      }),
      [],
      'NotSynchronized',
      'no kernel',
    ],
    [
      'a reference that only the pod complains of',
      vm({ printableStatus: 'Starting' }),
      vmi({ phase: 'Scheduling' }),
      [pod('InvalidImageName', 'couldn’t parse')],
      'InvalidImageName',
      'container compute: couldn’t parse',
    ],
    [
      'an image volume that only the pod complains of',
      vm({ printableStatus: 'Starting' }),
      vmi({ phase: 'Scheduling' }),
      [pod('CreateContainerError')],
      'CreateContainerError',
      'container compute: CreateContainerError',
    ],
    [
      'an instance that admission refused',
      vm({ conditions: [{ type: 'Failure', status: 'True', reason: 'FailedCreate', message: 'no memory' }] }),
      undefined,
      [],
      'FailedCreate',
      'no memory',
    ],
    [
      'a launcher that dies again and again',
      vm({
        printableStatus: 'CrashLoopBackOff',
        startFailure: { consecutiveFailCount: 3, retryAfterTimestamp: 'T' },
      }),
      undefined,
      [],
      'CrashLoopBackOff',
      'ended 3 times right after starting, next try at T',
    ],
    [
      'no node that takes it',
      vm({ printableStatus: 'ErrorUnschedulable' }),
      vmi({
        phase: 'Scheduling',
        conditions: [
          { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' },
        ],
      }),
      [],
      'Unschedulable',
      '0/1 nodes',
    ],
  ])('%s', (_title, machine, instance, pods, reason, message) => {
    expect(readInstance(machine, instance, pods)).toMatchObject({
      phase: 'Failing',
      ready: false,
      trouble: { reason, message },
    });
  });

  test('a container that takes its turn is none', () => {
    for (const reason of ['ContainerCreating', 'PodInitializing']) {
      expect(readInstance(vm(), vmi({ phase: 'Scheduling' }), [pod(reason)]).trouble).toBeUndefined();
    }
  });

  test('pods are not asked once the guest runs, nor the failure of an instance before this one', () => {
    const failed = vm({ conditions: [{ type: 'Failure', status: 'True', message: 'old' }] });
    expect(
      readInstance(failed, vmi({ phase: 'Running', conditions: [ready] }), [pod('CrashLoopBackOff')]).trouble,
    ).toBeUndefined();
  });
});

test('the instance is known by what it was started with', () => {
  const reading = readInstance(
    vm(),
    vmi({
      phase: 'Running',
      nodeName: 'n1',
      interfaces: [{ ipAddress: '10.0.0.1', ipAddresses: ['10.0.0.1', 'fd00::1'] }, {}],
    }),
    [],
  );
  expect(reading).toMatchObject({
    node: 'n1',
    addresses: ['10.0.0.1', 'fd00::1'],
    instance: {
      uid: 'vmi-1',
      revision: 'web-1',
      restart: 'T1',
      artifact: sampleDigest('a'),
      bootImage: sampleDigest('ab'),
      ending: false,
      migrating: false,
    },
  });
});

describe('an instance on a node that is drained', () => {
  const migratable = { type: 'LiveMigratable', status: 'True' };
  test.each([
    ['is about to be migrated', { evacuationNodeName: 'n1', conditions: [migratable] }, true],
    ['has arrived elsewhere', { evacuationNodeName: 'n0', conditions: [migratable] }, false],
    ['cannot be migrated', { evacuationNodeName: 'n1' }, false],
    ['is not asked to leave', { conditions: [migratable] }, false],
  ])('%s', (_title, status, migrating) => {
    const reading = readInstance(vm(), vmi({ phase: 'Running', nodeName: 'n1', ...status }), []);
    expect(reading).toMatchObject({ phase: 'Running', instance: { migrating } });
  });
});

describe('a pod that a guest is to be migrated into', () => {
  const launcher = (labels: Readonly<Record<string, string>>, phase = 'Running'): LauncherPod => ({
    metadata: { name: 'virt-launcher-web-0', labels },
    status: { phase },
  });
  const [source, target] = [launcher({}), { 'kubevirt.io/migrationJobUID': 'm' }];
  test.each([
    ['is waited for before the instance tells of it', [source, launcher(target, 'Pending')], true],
    ['is the one that the guest is in', [launcher(target)], false],
    ['has come to nothing', [source, launcher(target, 'Failed')], false],
    ['has taken over, and the one before has ended', [launcher({}, 'Succeeded'), launcher(target)], false],
    [
      'goes away',
      [source, { ...launcher(target), metadata: { name: 'x', labels: target, deletionTimestamp: 'x' } }],
      false,
    ],
  ])('%s', (_title, pods, migrating) => {
    expect(readInstance(vm(), vmi({ phase: 'Running' }), pods)).toMatchObject({ instance: { migrating } });
  });
});
