import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventsOf, eventually, kubectl, within } from '../path/fixtures.ts';
import { findCondition } from './api/conditions.ts';
import { refusal, SmallMachines } from './small-machine.ts';

const NAMESPACE = 'stand-in';
let machines: SmallMachines;

beforeAll(async () => {
  machines = await SmallMachines.start(NAMESPACE);
});

afterAll(async () => await machines[Symbol.asyncDispose]());

describe('a machine’s life', () => {
  it('passes through all phases, and is ready when its guest accepts connections', async () => {
    await machines.apply(
      machines.machine('life', 'guest.http=4', (spec) => {
        spec.readinessProbe = { tcpSocket: { port: 80 }, periodSeconds: 1 };
      }),
    );
    const running = await machines.inPhase('life', 'Running');
    expect(findCondition(running.status?.conditions, 'Ready')?.status).toBe('False');
    await eventually('the guest to be ready', 180, async () => (await machines.vm('life'))?.status?.ready);
    expect(await machines.console('life', /guest: serving/)).toContain('guest: address 10.0.2.2/24');
    const { status } = (await machines.instance('life')) ?? {};
    expect(status?.phaseTransitionTimestamps?.map(({ phase }) => phase)).toEqual([
      'Pending',
      'Scheduling',
      'Scheduled',
      'Running',
    ]);
    const address = status?.interfaces?.[0]?.ipAddress;
    expect((await fetch(`http://${address}/boot`, { signal: within(10) })).status).toBe(200);
  });

  it('shows a change as RestartRequired, and takes it in when the instance is deleted', async () => {
    const before = (await machines.instance('life'))?.metadata.uid;
    await machines.apply(
      machines.machine('life', 'guest.http=1 guest.say=changed', (spec) => {
        spec.readinessProbe = { tcpSocket: { port: 80 }, periodSeconds: 1 };
      }),
    );
    await eventually('RestartRequired', 20, async () =>
      findCondition((await machines.vm('life'))?.status?.conditions, 'RestartRequired'),
    );
    await machines.end('life');
    await machines.printed('life', 'Stopped');
    const vmi = await machines.inPhase('life', 'Running', [before]);
    await machines.console('life', /guest: up changed/);
    const { status, metadata } = (await machines.vm('life')) ?? {};
    expect(findCondition(status?.conditions, 'RestartRequired')).toBeUndefined();
    expect(status?.observedGeneration).toBe(metadata?.generation);
    expect(vmi.status?.virtualMachineRevisionName).toBe(
      `revision-start-vm-${metadata?.uid}-${metadata?.generation}`,
    );
  });

  it('is restarted by the aggregated API, once at a time', async () => {
    const before = (await machines.instance('life'))?.metadata.uid;
    await machines.call('life', 'restart');
    expect(await refusal(machines.call('life', 'restart'))).toContain('already underway');
    await machines.inPhase('life', 'Running', [before]);
    const reasons = (await eventsOf(NAMESPACE, 'VirtualMachineInstance', 'life')).map(({ reason }) => reason);
    expect(reasons).toEqual(expect.arrayContaining(['SuccessfulCreate', 'Started', 'Stopped']));
    expect((await eventsOf(NAMESPACE, 'VirtualMachine', 'life')).map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(['SuccessfulCreate', 'SuccessfulDelete']),
    );
  });

  it('is gone with everything of it when it is deleted in the foreground', async () => {
    const cascade = ['delete', 'virtualmachine', 'life', '--cascade=foreground', '--timeout=60s'];
    await kubectl.run([`--namespace=${NAMESPACE}`, ...cascade], within(70));
    expect(await machines.instance('life')).toBeUndefined();
    expect(await machines.pods('life')).toEqual([]);
  });
});

describe('a guest that ends', () => {
  it('by powering off is treated by its run strategy', async () => {
    const ends = (name: string, runStrategy: string) =>
      machines.machine(name, 'guest.then=poweroff', (_spec, vm) => {
        vm.spec.runStrategy = runStrategy;
      });
    await machines.apply(ends('always', 'Always'), ends('once', 'Once'), ends('rerun', 'RerunOnFailure'));
    const first = await machines.inPhase('always', 'Running');
    await machines.inPhase('always', 'Running', [first.metadata.uid]);
    await machines.remove('always');
    expect((await machines.inPhase('once', 'Succeeded')).metadata.deletionTimestamp).toBeUndefined();
    expect((await machines.printed('once', 'Stopped')).status?.created).toBe(true);
    await eventually('the instance of rerun to be gone', 90, async () => {
      const gone = (await machines.instance('rerun')) === undefined;
      return gone && (await machines.vm('rerun'))?.status?.printableStatus === 'Stopped';
    });
    await machines.remove('once', 'rerun');
  });

  it('by rebooting, boots what is wanted then under the policy Terminate', async () => {
    await machines.apply(
      machines.machine('reboots', 'guest.then=reboot guest.say=old', (spec) => {
        spec.domain.rebootPolicy = 'Terminate';
      }),
    );
    const first = await machines.inPhase('reboots', 'Running');
    const second = await machines.inPhase('reboots', 'Running', [first.metadata.uid]);
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    await machines.remove('reboots');
  });

  it('only by force, when it ignores the power button, has Failed', async () => {
    await machines.apply(
      machines.machine('deaf', 'guest.acpi=no', (spec) => {
        spec.terminationGracePeriodSeconds = 4;
      }),
    );
    await machines.console('deaf', /guest: up/);
    const { metadata } = await machines.inPhase('deaf', 'Running');
    await machines.end('deaf');
    await machines.printed('deaf', 'Stopping');
    expect((await machines.inPhase('deaf', 'Failed')).metadata.uid).toBe(metadata.uid);
    await machines.inPhase('deaf', 'Running', [metadata.uid]);
    await machines.remove('deaf');
  });
});

describe('probes', () => {
  it('see a guest that stops serving', async () => {
    await machines.apply(
      machines.machine('probed', 'guest.http=0 guest.deaf=5', (spec) => {
        spec.readinessProbe = { httpGet: { port: 80, path: '/boot' }, periodSeconds: 1, failureThreshold: 1 };
      }),
    );
    const isReady = async () => (await machines.vm('probed'))?.status?.ready === true;
    await eventually('the guest to be ready', 180, isReady);
    await eventually('the guest to be unready', 90, async () => !(await isReady()));
    expect((await machines.vm('probed'))?.status?.printableStatus).toBe('Running');
    await machines.remove('probed');
  });

  it('end a guest that does not live, and another one takes its place', async () => {
    await machines.apply(
      machines.machine('lively', 'guest.http=0 guest.deaf=5', (spec) => {
        spec.livenessProbe = { tcpSocket: { port: 80 }, periodSeconds: 1, initialDelaySeconds: 20 };
      }),
    );
    const { metadata } = await machines.inPhase('lively', 'Running');
    await machines.inPhase('lively', 'Running', [metadata.uid]);
    await machines.remove('lively');
  });
});
