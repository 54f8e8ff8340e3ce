import type { KubeObject } from '../../../operator/runtime/objects.ts';
import { type Resource, resource } from '../../../operator/runtime/resources.ts';
import type { SizingObject } from '../machine/sizing-source.ts';
import type {
  Claim,
  ControllerRevision,
  Migration,
  Pod,
  VirtualMachine,
  VirtualMachineInstance,
} from './types.ts';

type As<T> = Omit<T, 'metadata'> & KubeObject;

const kubevirt = { group: 'kubevirt.io', version: 'v1' } as const;

export const VIRTUAL_MACHINES = resource<As<VirtualMachine>>({
  ...kubevirt,
  plural: 'virtualmachines',
  kind: 'VirtualMachine',
});
export const VIRTUAL_MACHINE_INSTANCES = resource<As<VirtualMachineInstance>>({
  ...kubevirt,
  plural: 'virtualmachineinstances',
  kind: 'VirtualMachineInstance',
});
export const MIGRATIONS = resource<As<Migration>>({
  ...kubevirt,
  plural: 'virtualmachineinstancemigrations',
  kind: 'VirtualMachineInstanceMigration',
});
export const LAUNCHER_PODS = resource<As<Pod>>({ group: '', version: 'v1', plural: 'pods', kind: 'Pod' });
export const CLAIMS = resource<As<Claim>>({
  group: '',
  version: 'v1',
  plural: 'persistentvolumeclaims',
  kind: 'PersistentVolumeClaim',
});
export const REVISIONS = resource<As<ControllerRevision>>({
  group: 'apps',
  version: 'v1',
  plural: 'controllerrevisions',
  kind: 'ControllerRevision',
});

/** Instance types and preferences, of namespaces and of the cluster. */
export const SIZINGS: readonly Resource<As<SizingObject>>[] = [
  'VirtualMachineInstancetype',
  'VirtualMachineClusterInstancetype',
  'VirtualMachinePreference',
  'VirtualMachineClusterPreference',
].map((kind) =>
  resource<As<SizingObject>>({
    group: 'instancetype.kubevirt.io',
    version: 'v1beta1',
    plural: `${kind.toLowerCase()}s`,
    kind,
    namespaced: !kind.includes('Cluster'),
  }),
);

/** Selects the pods of instances. */
export const LAUNCHER_SELECTOR = 'kubevirt.io=virt-launcher';
