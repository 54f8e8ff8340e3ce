import type { LinuxKitMachine, VolumeClaimTemplate } from '../api/machine.ts';
import { LABEL_MACHINE, LABEL_ORDINAL } from '../api/names.ts';
import { machineName } from './guest-metadata.ts';
import { ownedBy } from './owner.ts';
import type { Metadata } from './types.ts';

/** A PersistentVolumeClaim made of a disk's template, as it is created. */
export interface MachineClaim {
  readonly apiVersion: 'v1';
  readonly kind: 'PersistentVolumeClaim';
  readonly metadata: Metadata;
  readonly spec: VolumeClaimTemplate;
}

/** `DISK-NAME-ORDINAL`, as StatefulSets name theirs: a machine finds its disks again after having been gone. */
export function claimName(machine: LinuxKitMachine, disk: string, ordinal: number): string {
  return `${disk}-${machineName(machine, ordinal)}`;
}

/** The claims of one virtual machine. Owned by the machine, and so deleted with it, only if the policy says so. */
export function claimsOf(machine: LinuxKitMachine, ordinal: number): readonly MachineClaim[] {
  const { namespace, name } = machine.metadata;
  const goes = machine.spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete';
  return (machine.spec.disks ?? []).flatMap(({ name: disk, volumeClaimTemplate }) =>
    volumeClaimTemplate === undefined
      ? []
      : {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: {
            name: claimName(machine, disk, ordinal),
            namespace,
            labels: { [LABEL_MACHINE]: name, [LABEL_ORDINAL]: String(ordinal) },
            ...(goes ? { ownerReferences: [ownedBy(machine)] } : {}),
          },
          spec: volumeClaimTemplate,
        },
  );
}
