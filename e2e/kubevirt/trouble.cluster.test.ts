import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventsOf, eventually, kubectl, within } from '../path/fixtures.ts';
import { findCondition } from './api/conditions.ts';
import { refusal, SmallMachines } from './small-machine.ts';

const NAMESPACE = 'stand-in-trouble';
let machines: SmallMachines;

beforeAll(async () => {
  machines = await SmallMachines.start(NAMESPACE);
});

afterAll(async () => await machines[Symbol.asyncDispose]());

describe('a machine that does not start', { concurrent: true }, () => {
  it('hangs at an image that is not there, even when it is corrected, until its instance is deleted', async () => {
    const bad = machines.machine('image', '', ({ domain }) => {
      const container = domain.firmware?.kernelBoot?.container ?? {};
      container.image = container.image?.replace(/@.*/, `@sha256:${'0'.repeat(64)}`) ?? '';
    });
    await machines.apply(bad);
    const vm = await machines.printed('image', 'ErrImagePull', 'ImagePullBackOff');
    const synchronized = findCondition(vm.status?.conditions, 'Synchronized');
    expect(synchronized?.message).toContain('0'.repeat(64));
    const { metadata } = await machines.inPhase('image', 'Scheduling');
    await machines.apply(machines.machine('image', ''));
    await eventually('RestartRequired', 20, async () =>
      findCondition((await machines.vm('image'))?.status?.conditions, 'RestartRequired'),
    );
    expect((await machines.instance('image'))?.metadata.uid).toBe(metadata.uid);
    await machines.end('image');
    expect(
      (await machines.printed('image', 'CrashLoopBackOff')).status?.startFailure?.consecutiveFailCount,
    ).toBe(1);
    await machines.inPhase('image', 'Running', [metadata.uid]);
    await machines.remove('image');
  });

  it('stays Scheduled when its kernel is not in the image, and says why', async () => {
    await machines.apply(
      machines.machine('path', '', ({ domain }) => {
        Object.assign(domain.firmware?.kernelBoot?.container ?? {}, { kernelPath: '/boot/other' });
      }),
    );
    const { status } = await eventually('SyncFailed', 60, async () => {
      const vmi = await machines.instance('path');
      return findCondition(vmi?.status?.conditions, 'Synchronized') === undefined ? undefined : vmi;
    });
    expect(status?.phase).toBe('Scheduled');
    expect(findCondition(status?.conditions, 'Synchronized')).toMatchObject({
      reason: 'Synchronizing with the Domain failed.',
      message: expect.stringContaining('/boot/other') as unknown,
    });
    expect((await machines.pods('path'))[0]?.status?.phase).toBe('Running');
    await eventually('the event', 20, async () =>
      (await eventsOf(NAMESPACE, 'VirtualMachineInstance', 'path')).some(
        ({ reason }) => reason === 'SyncFailed',
      ),
    );
    await machines.remove('path');
  });

  it('is refused its pod in a restricted namespace', async () => {
    const namespace = `${NAMESPACE}-restricted`;
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await kubectl.apply(
      [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } }],
      within(20),
    );
    await using restricted = new SmallMachines(namespace, machines.image);
    await restricted.apply(restricted.machine('restricted', ''));
    const condition = await eventually('the refusal', 60, async () =>
      findCondition((await restricted.vm('restricted'))?.status?.conditions, 'Synchronized'),
    );
    expect(condition.reason).toBe('FailedCreate');
    expect(condition.message).toMatch(/it needs a privileged namespace to run: .*seccompProfile/);
    await kubectl.run(['delete', 'namespace', namespace, '--timeout=60s'], within(70));
  });

  it('is refused itself for what KubeVirt refuses, and its instance is nobody’s to change', async () => {
    const odd = machines.machine('odd', '', (spec) => {
      Object.assign(spec.domain.firmware?.kernelBoot?.container ?? {}, { kernelPath: '/a/../b' });
    });
    expect(await refusal(machines.apply(odd))).toContain('absolute path');
    const halted = machines.machine('halted', '', (_spec, vm) => {
      vm.spec.runStrategy = 'Once';
    });
    await machines.apply(halted);
    await machines.inPhase('halted', 'Running');
    const patch = [
      'patch',
      'virtualmachineinstance',
      'halted',
      '--type=merge',
      '-p',
      '{"spec":{"hostname":"x"}}',
    ];
    expect(await refusal(kubectl.run([`--namespace=${NAMESPACE}`, ...patch], within(20)))).toContain(
      'update of VMI object is restricted',
    );
    await machines.remove('halted');
  });
});
