import type { ControllerRevision, VirtualMachine, VirtualMachineSpec } from '../api/types.ts';

/** By which the stand-in finds its own revisions again. */
export const REVISION_LABEL = 'standin.kubevirt.io/revision-of';

function owned(vm: VirtualMachine, name: string, data: unknown): ControllerRevision {
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name,
      namespace: vm.metadata.namespace,
      labels: { [REVISION_LABEL]: vm.metadata.uid ?? '' },
      ownerReferences: [
        {
          apiVersion: 'kubevirt.io/v1',
          kind: 'VirtualMachine',
          name: vm.metadata.name,
          uid: vm.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    revision: vm.metadata.generation ?? 0,
    data,
  };
}

/** The name of the revision that an instance started from this generation of the machine refers to. */
export function startRevisionName(vm: VirtualMachine): string {
  return `revision-start-vm-${vm.metadata.uid}-${vm.metadata.generation ?? 0}`;
}

/** The machine's spec as its instance is made from it. */
export function startRevision(vm: VirtualMachine): ControllerRevision {
  return owned(vm, startRevisionName(vm), { spec: vm.spec });
}

/** An instance type or preference as it was when the machine first used it; later changes do not reach the machine. */
export function sizingRevision(
  vm: VirtualMachine,
  object: {
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly uid?: string; readonly generation?: number };
  },
): ControllerRevision {
  const { name, uid = '', generation = 1 } = object.metadata;
  return owned(vm, `${vm.metadata.name}-${name}-${uid}-${generation}`, object);
}

export function startedSpec(revision: ControllerRevision | undefined): VirtualMachineSpec | undefined {
  return (revision?.data as { spec?: VirtualMachineSpec } | undefined)?.spec;
}
