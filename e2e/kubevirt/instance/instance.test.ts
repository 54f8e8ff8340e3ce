import { describe, expect, it } from 'vitest';
import type { Claim, Pod, VirtualMachineInstance } from '../api/types.ts';
import type { DomainState } from '../launcher/domain.ts';
import { VMI_FINALIZER } from '../machine/virtual-machine.ts';
import { KUBEVIRT_PAUSES } from '../pauses.ts';
import { deleted, later, NOW, ready, sampleInstance, samplePod } from '../sample.ts';
import { type InstanceStep, nextForInstance } from './instance.ts';

interface More {
  readonly domain?: DomainState;
  readonly claims?: readonly Claim[];
  readonly podRefusal?: string;
  readonly now?: Date;
}

function look(vmi: VirtualMachineInstance, pods: Pod[], more: More = {}): InstanceStep {
  const { domain, claims = [], now = NOW, ...rest } = more;
  return nextForInstance({
    vmi,
    pods,
    domain,
    claims: new Map(claims.map((claim) => [claim.metadata.name, claim])),
    launcherImage: 'launcher',
    pauses: KUBEVIRT_PAUSES,
    now,
    ...rest,
  });
}

const since = (phase: string) => [{ phase, phaseTransitionTimestamp: NOW.toISOString() }];

describe('a pod', () => {
  it('is made for a new instance, and told of', () => {
    const step = look(sampleInstance(), []);
    expect(step.createPod?.metadata.name).toBe('virt-launcher-vm-i1-01');
    expect(step.status?.phase).toBe('Pending');
    expect(step.tell).toMatchObject([{ reason: 'SuccessfulCreate' }]);
  });

  it('is made once', () => {
    expect(
      look(sampleInstance({ phase: 'Pending' }), [samplePod({ waiting: {} })]).createPod,
    ).toBeUndefined();
    expect(look(sampleInstance({ phase: 'Running' }), []).createPod).toBeUndefined();
  });

  it('waits for a claim that does not exist', () => {
    const onClaim = sampleInstance({}, ({ spec }) => {
      spec.domain.devices.disks = [{ name: 'a', disk: { bus: 'virtio' } }];
      spec.volumes = [{ name: 'a', persistentVolumeClaim: { claimName: 'data' } }];
    });
    const step = look(onClaim, []);
    expect(step.createPod).toBeUndefined();
    expect(step.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Synchronized', reason: 'FailedPvcNotFound' }),
    );
    const claim: Claim = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data', namespace: 'ns' },
    };
    expect(look(onClaim, [], { claims: [claim] }).createPod).toBeDefined();
  });

  it('that the API server refuses leaves the reason on the instance', () => {
    const step = look(sampleInstance(), [], { podRefusal: 'it needs a privileged namespace to run' });
    expect(step.createPod).toBeUndefined();
    expect(step.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Synchronized', status: 'False', reason: 'FailedCreate' }),
    );
  });

  it('is not made of a volume that is not played, and that is said', () => {
    const odd = sampleInstance({}, ({ spec }) => {
      spec.domain.devices.disks = [{ name: 'a', disk: {} }];
      spec.volumes = [{ name: 'a', containerDisk: { image: 'x' } }];
    });
    const step = look(odd, []);
    expect(step.createPod).toBeUndefined();
    expect(JSON.stringify(step.status?.conditions)).toContain(
      'does not play volumes of the kind containerDisk',
    );
  });
});

describe('status', () => {
  it('of a running instance has address, node, machine and sizes', () => {
    const { status, labels } = look(sampleInstance({ phase: 'Running' }), [
      samplePod({ running: {} }, ready),
    ]);
    expect(status).toMatchObject({
      nodeName: 'node',
      activePods: { p1: 'node' },
      machine: { type: 'pc-q35-10.0' },
      guestOSInfo: {},
      runtimeUser: 107,
      qosClass: 'Burstable',
      migrationMethod: 'LiveMigration',
      memory: { guestRequested: '256Mi', memoryOverhead: '268Mi' },
      interfaces: [
        {
          name: 'default',
          ipAddress: '10.0.0.9',
          infoSource: 'domain',
          linkState: 'up',
          podInterfaceName: 'eth0',
          queueCount: 1,
        },
      ],
    });
    expect(labels).toEqual({ 'kubevirt.io/nodeName': 'node' });
  });

  it('has no node and no address before', () => {
    const { status } = look(sampleInstance({ phase: 'Scheduling' }), [samplePod({ waiting: {} })]);
    expect(status).not.toHaveProperty('nodeName');
    expect(status).not.toHaveProperty('interfaces');
  });

  it('remembers when each phase began', () => {
    const { status } = look(
      sampleInstance({ phase: 'Scheduling', phaseTransitionTimestamps: since('Scheduling') }),
      [samplePod({ running: {} })],
    );
    expect(status?.phaseTransitionTimestamps?.map(({ phase }) => phase)).toEqual(['Scheduling', 'Scheduled']);
  });

  it('keeps what others wrote', () => {
    const before = { phase: 'Running', migrationState: { migrationUid: 'm' }, evacuationNodeName: 'node' };
    expect(look(sampleInstance(before), [samplePod({ running: {} })]).status).toMatchObject(before);
  });

  it('is the same at the next look', () => {
    for (const pods of [[], [samplePod({ waiting: {} })], [samplePod({ running: {} }, ready)]]) {
      for (const phase of ['Pending', 'Scheduling', 'Scheduled', 'Running', 'Succeeded', 'Failed']) {
        let vmi = sampleInstance({ phase });
        for (let step = 0; step < 5; step += 1)
          vmi = { ...vmi, status: look(vmi, pods, { now: later(10 * step) }).status ?? {} };
        expect(look(vmi, pods, { now: later(60) }).status).toEqual(
          look(vmi, pods, { now: later(120) }).status,
        );
      }
    }
  });
});

describe('an end', () => {
  it.each([
    ['Running', { terminated: { exitCode: 0 } }, 'Succeeded', 'Normal', 'was shut down'],
    ['Running', { terminated: { exitCode: 1 } }, 'Failed', 'Warning', 'crashed'],
  ])('%s with %j is %s', (before, state, phase, type, note) => {
    const step = look(sampleInstance({ phase: before }), [samplePod(state)]);
    expect(step.status?.phase).toBe(phase);
    expect(step.tell).toEqual([
      expect.objectContaining({ type, reason: 'Stopped', note: expect.stringContaining(note) as unknown }),
    ]);
  });

  it('leaves Ready as it was for a moment, unless the instance was deleted', () => {
    const conditions = [{ type: 'Ready', status: 'True' as const }];
    const before = sampleInstance({ phase: 'Running', conditions });
    const off = [samplePod({ terminated: { exitCode: 0 } })];
    const status = look(before, off).status ?? {};
    expect(status.conditions?.[0]?.status).toBe('True');
    const ended = sampleInstance(status);
    expect(look(ended, off, { now: later(1) }).status?.conditions?.[0]?.status).toBe('True');
    expect(look(ended, off, { now: later(2) }).status?.conditions?.[0]?.status).toBe('False');
    const going = sampleInstance({ phase: 'Running', conditions }, deleted);
    expect(look(going, off).status?.conditions?.[0]?.status).toBe('False');
  });
});

describe('deletion', () => {
  it('deletes the pod, and waits for the guest', () => {
    const step = look(sampleInstance({ phase: 'Running' }, deleted), [samplePod({ running: {} })]);
    expect(step).toMatchObject({ deletePods: ['virt-launcher-vm-i1-01'], status: { phase: 'Running' } });
    expect(step.finalizers).toBeUndefined();
    expect(step.tell.map(({ reason }) => reason)).toEqual(['ShuttingDown', 'SuccessfulDelete']);
    const again = look(sampleInstance({ phase: 'Running' }, deleted), [samplePod({ running: {} }, deleted)]);
    expect(again.deletePods).toEqual([]);
  });

  it('of one that hangs at its image ends Failed', () => {
    const pulling = samplePod({ waiting: { reason: 'ImagePullBackOff' } }, deleted);
    expect(look(sampleInstance({ phase: 'Scheduling' }, deleted), [pulling]).status?.phase).toBe('Failed');
  });

  it('lets go a few seconds after the end, and not before the pods are gone', () => {
    const ended = sampleInstance(
      { phase: 'Succeeded', phaseTransitionTimestamps: since('Succeeded') },
      deleted,
    );
    const pod = samplePod({ terminated: { exitCode: 0 } });
    expect(look(ended, [pod], { now: later(60) })).toMatchObject({ deletePods: [pod.metadata.name] });
    expect(look(ended, [pod], { now: later(60) }).finalizers).toBeUndefined();
    expect(look(ended, [], { now: later(4) }).finalizers).toBeUndefined();
    expect(look(ended, [], { now: later(5) }).finalizers).toEqual([]);
    expect(ended.metadata.finalizers).toEqual([VMI_FINALIZER]);
  });
});
