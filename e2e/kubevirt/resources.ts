import type { KubeObject } from '../../operator/runtime/objects.ts';
import { resource } from '../../operator/runtime/resources.ts';
import type { Pod, VirtualMachine, VirtualMachineInstance } from './types.ts';

type As<T> = Omit<T, 'metadata'> & KubeObject;

export const VIRTUAL_MACHINES = resource<As<VirtualMachine>>({
  group: 'kubevirt.io',
  version: 'v1',
  plural: 'virtualmachines',
  kind: 'VirtualMachine',
});
export const VIRTUAL_MACHINE_INSTANCES = resource<As<VirtualMachineInstance>>({
  group: 'kubevirt.io',
  version: 'v1',
  plural: 'virtualmachineinstances',
  kind: 'VirtualMachineInstance',
});
export const LAUNCHER_PODS = resource<As<Pod>>({ group: '', version: 'v1', plural: 'pods', kind: 'Pod' });
