import { describe, expect, it } from 'vitest';
import { refusals } from './admission.ts';
import { defaultsPatch } from './defaults.ts';
import { nextForInstance } from './instance.ts';
import type { Pod, VirtualMachine, VirtualMachineInstance } from './types.ts';
import { nextForVirtualMachine, VM_FINALIZER } from './virtual-machine.ts';

const NOW = new Date('2026-01-02T03:04:05Z');
const IMAGE = `127.0.0.1:5100/ns/img@sha256:${'a'.repeat(64)}`;

function machine(change: (vm: VirtualMachine) => void = () => undefined): VirtualMachine {
  const vm: VirtualMachine = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'vm', namespace: 'ns', uid: 'u1', generation: 3, finalizers: [VM_FINALIZER] },
    spec: {
      runStrategy: 'Always',
      template: {
        spec: {
          domain: {
            memory: { guest: '256Mi' },
            devices: { interfaces: [{ name: 'default', masquerade: {} }] },
            firmware: {
              kernelBoot: {
                kernelArgs: 'console=ttyS0',
                container: { image: IMAGE, kernelPath: '/boot/kernel', initrdPath: '/boot/initrd.img' },
              },
            },
          },
          networks: [{ name: 'default', pod: {} }],
        },
      },
    },
  };
  change(vm);
  return vm;
}

function instanceOf(
  vm: VirtualMachine,
  status: VirtualMachineInstance['status'] = {},
): VirtualMachineInstance {
  const made = nextForVirtualMachine(vm, undefined, NOW).createInstance;
  if (made === undefined) throw new Error('no instance was made');
  return { ...made, metadata: { ...made.metadata, uid: 'i1' }, status };
}

describe('admission', () => {
  const container = (vm: VirtualMachine) =>
    vm.spec.template.spec.domain.firmware?.kernelBoot?.container ?? {};
  it.each<[string, (vm: VirtualMachine) => void, string | undefined]>([
    ['a whole machine', () => undefined, undefined],
    ['no image', (vm) => delete container(vm).image, 'must be defined with an image'],
    ['no paths', (vm) => Object.assign(container(vm), { kernelPath: '', initrdPath: '' }), 'at least one of'],
    [
      'a relative path',
      (vm) => Object.assign(container(vm), { kernelPath: '/boot/../kernel' }),
      'absolute path',
    ],
    ['the root as path', (vm) => Object.assign(container(vm), { kernelPath: '/' }), 'must not point to root'],
    ['running and runStrategy', (vm) => Object.assign(vm.spec, { running: true }), 'mutually exclusive'],
    [
      'two bindings',
      (vm) => Object.assign(vm.spec.template.spec.domain.devices.interfaces?.[0] ?? {}, { bridge: {} }),
      'exactly one binding',
    ],
    [
      'an unparsable reference, accepted as KubeVirt accepts it',
      (vm) => Object.assign(container(vm), { image: 'NOT a reference' }),
      undefined,
    ],
    [
      'no memory, accepted as KubeVirt accepts it',
      (vm) => delete vm.spec.template.spec.domain.memory,
      undefined,
    ],
  ])('%s', (_name, change, expected) => {
    const causes = refusals(machine(change));
    if (expected === undefined) expect(causes).toEqual([]);
    else expect(causes.map((cause) => cause.message).join()).toContain(expected);
  });

  it('writes firmware identity, machine type and architecture once', () => {
    const paths = defaultsPatch(machine(), () => 'uuid').map((operation) => operation.path);
    expect(paths).toContain('/spec/template/spec/domain/firmware/uuid');
    expect(paths).toContain('/spec/template/spec/domain/machine');
    expect(paths).toContain('/spec/template/spec/architecture');
  });
});

describe('virtual machine', () => {
  it('creates an instance that remembers the generation it was made from', () => {
    expect(instanceOf(machine()).metadata.annotations?.['kubevirt.io/vm-generation']).toBe('3');
  });

  it('shows RestartRequired for another image, and takes it back when the image is taken back', () => {
    const vmi = instanceOf(machine(), { phase: 'Running' });
    const other = machine((vm) =>
      Object.assign(vm.spec.template.spec.domain.firmware?.kernelBoot?.container ?? {}, {
        image: IMAGE.replace('a', 'b'),
      }),
    );
    const types = (vm: VirtualMachine) =>
      nextForVirtualMachine(vm, vmi, NOW).status?.conditions?.map((condition) => condition.type);
    expect(types(other)).toContain('RestartRequired');
    expect(types(machine())).not.toContain('RestartRequired');
  });

  it('leaves out created and ready instead of saying false', () => {
    const status = nextForVirtualMachine(machine(), undefined, NOW).status ?? {};
    expect(Object.keys(status)).not.toContain('ready');
    expect(Object.keys(status)).not.toContain('created');
  });

  it('fails to create an instance without memory, and says so on the VM alone', () => {
    const step = nextForVirtualMachine(
      machine((vm) => delete vm.spec.template.spec.domain.memory),
      undefined,
      NOW,
    );
    expect(step.createInstance).toBeUndefined();
    expect(step.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Failure', reason: 'FailedCreate' }),
    );
  });

  it.each(['Succeeded', 'Failed'])('replaces an instance that ended %s', (phase) => {
    const vm = machine();
    expect(nextForVirtualMachine(vm, instanceOf(vm, { phase }), NOW).deleteInstance).toBe(true);
  });

  it('waits longer after each start that failed before QEMU ran', () => {
    const vm = machine();
    const failed = nextForVirtualMachine(vm, instanceOf(vm, { phase: 'Failed' }), NOW).status;
    expect(failed?.startFailure?.consecutiveFailCount).toBe(1);
    const again = machine((each) => Object.assign(each, { status: failed }));
    expect(nextForVirtualMachine(again, undefined, NOW).createInstance).toBeUndefined();
    expect(
      nextForVirtualMachine(again, undefined, new Date(NOW.getTime() + 10_001)).createInstance,
    ).toBeDefined();
  });
});

describe('instance', () => {
  const pod = (state: object, ready = false): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'ns', uid: 'p1' },
    spec: { nodeName: 'node' },
    status: {
      phase: 'Running',
      podIP: '10.0.0.9',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: [{ name: 'compute', ready, state }],
    },
  });
  const step = (each: Pod | undefined) =>
    nextForInstance(instanceOf(machine(), { phase: 'Scheduling' }), each, 'launcher', NOW);

  it.each<[string, object, string, string | undefined]>([
    [
      'a failing pull',
      { waiting: { reason: 'ImagePullBackOff', message: 'not found' } },
      'Scheduling',
      'ImagePullBackOff',
    ],
    [
      'an unparsable reference, in silence',
      { waiting: { reason: 'InvalidImageName' } },
      'Scheduling',
      undefined,
    ],
    [
      'a container that cannot be created, in silence',
      { waiting: { reason: 'CreateContainerError' } },
      'Scheduling',
      undefined,
    ],
    [
      'a file QEMU cannot open',
      { terminated: { exitCode: 42, message: "could not open '/k'" } },
      'Scheduled',
      'Synchronizing with the Domain failed.',
    ],
    ['a running guest', { running: {} }, 'Running', undefined],
    ['a guest that powered off', { terminated: { exitCode: 0 } }, 'Succeeded', undefined],
    ['a launcher that died', { terminated: { exitCode: 1 } }, 'Failed', undefined],
  ])('shows %s', (_name, state, phase, reason) => {
    const { status } = step(pod(state));
    expect(status?.phase).toBe(phase);
    expect(status?.conditions?.find((condition) => condition.type === 'Synchronized')?.reason).toBe(reason);
  });

  it('is ready when its pod is, and publishes the pod address', () => {
    const { status } = step(pod({ running: {} }, true));
    expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
    expect(status?.interfaces?.[0]?.ipAddress).toBe('10.0.0.9');
  });

  it('boots the files of the image volume, with the arguments as given', () => {
    const made = nextForInstance(instanceOf(machine()), undefined, 'launcher', NOW).createPod;
    const text = JSON.stringify(made?.spec);
    expect(text).toContain(`"reference":"${IMAGE}"`);
    expect(text).toContain('/var/run/kubevirt-kernel-boot/boot/kernel');
    expect(text).toContain('console=ttyS0');
  });
});
