import type { InstanceSpec } from './api/instance-spec.ts';
import type { InstanceStatus, Pod, VirtualMachine, VirtualMachineInstance } from './api/types.ts';
import { VM_FINALIZER, VMI_FINALIZER } from './machine/virtual-machine.ts';
import { GENERATION_ANNOTATION } from './machine/virtual-machine-status.ts';

/** Objects for tests, whole enough to be changed in one place. */

export const NOW = new Date('2026-01-02T03:04:05Z');
export const SAMPLE_IMAGE = `127.0.0.1:5100/ns/img@sha256:${'a'.repeat(64)}`;

export function later(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1000);
}

export function sampleSpec(change: (spec: InstanceSpec) => void = () => undefined): InstanceSpec {
  const spec: InstanceSpec = {
    domain: {
      memory: { guest: '256Mi' },
      devices: { interfaces: [{ name: 'default', masquerade: {} }] },
      firmware: {
        kernelBoot: {
          kernelArgs: 'console=ttyS0',
          container: { image: SAMPLE_IMAGE, kernelPath: '/boot/kernel', initrdPath: '/boot/initrd.img' },
        },
      },
    },
    networks: [{ name: 'default', pod: {} }],
  };
  change(spec);
  return spec;
}

export function sampleMachine(change: (vm: VirtualMachine) => void = () => undefined): VirtualMachine {
  const vm: VirtualMachine = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'vm', namespace: 'ns', uid: 'u1', generation: 3, finalizers: [VM_FINALIZER] },
    spec: { runStrategy: 'Always', template: { spec: sampleSpec() } },
  };
  change(vm);
  return vm;
}

export function sampleInstance(
  status: InstanceStatus = {},
  change: (vmi: VirtualMachineInstance) => void = () => undefined,
): VirtualMachineInstance {
  const vmi: VirtualMachineInstance = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      name: 'vm',
      namespace: 'ns',
      uid: 'i1-0123456789',
      annotations: { [GENERATION_ANNOTATION]: '3' },
      finalizers: [VMI_FINALIZER],
      ownerReferences: [{ apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name: 'vm', uid: 'u1' }],
    },
    spec: sampleSpec(),
    status,
  };
  change(vmi);
  return vmi;
}

export function samplePod(
  state: NonNullable<NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]['state']>,
  change: (pod: Pod) => void = () => undefined,
): Pod {
  const terminated = state.terminated;
  const phase = terminated === undefined ? 'Running' : terminated.exitCode === 0 ? 'Succeeded' : 'Failed';
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'virt-launcher-vm-i1-01', namespace: 'ns', uid: 'p1' },
    spec: { nodeName: 'node' },
    status: {
      phase,
      podIP: '10.0.0.9',
      qosClass: 'Burstable',
      conditions: [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady', message: 'not yet' }],
      containerStatuses: [{ name: 'compute', ready: false, state }],
    },
  };
  change(pod);
  return pod;
}

/** Makes a pod ready. */
export function ready(pod: Pod): void {
  if (pod.status !== undefined) pod.status.conditions = [{ type: 'Ready', status: 'True' }];
}

/** Marks an object as being deleted. */
export function deleted(object: { metadata: { deletionTimestamp?: string } }): void {
  object.metadata.deletionTimestamp = '2026-01-02T03:04:04Z';
}
