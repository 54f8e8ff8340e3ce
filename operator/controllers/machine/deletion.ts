import { summarise } from '../../api/conditions.ts';
import type { MachineStatus } from '../../api/machine.ts';
import { ownershipOf } from '../../kubevirt/owner.ts';
import type { Action } from './actions.ts';
import type { Snapshot } from './snapshot.ts';
import { surplusRow } from './status.ts';

/** What is done for a machine that is being deleted. */
export interface Deletion {
  readonly actions: readonly Action[];
  /** Undefined once there is nothing left to wait for: the finalizer goes. */
  readonly status: MachineStatus | undefined;
}

/** The API server's own: what the object owns is to outlive it. */
const ORPHAN = 'orphan';

/**
 * The virtual machines go first, and the object stays until they are gone: until then it says what
 * they boot, so that nothing of that is removed from storage. ConfigMaps, revisions, and the claims that
 * the policy says go with it are owned by it, and collected after it. Deleted with `--cascade=orphan`, it goes alone.
 */
export function deletionOf(snapshot: Snapshot, now: Date): Deletion {
  const { machine, virtualMachines } = snapshot;
  const { metadata } = machine;
  const ours = virtualMachines.filter((vm) => ownershipOf(machine, vm) === 'ours');
  if (ours.length === 0 || metadata.finalizers?.includes(ORPHAN) === true)
    return { actions: [], status: undefined };
  const message = `${ours.length} virtual machines are being removed`;
  const because = { reason: 'Deleting', message };
  return {
    actions: ours
      .filter((vm) => vm.metadata.deletionTimestamp === undefined)
      .map((vm) => ({ kind: 'deleteMachine', name: vm.metadata.name, uid: vm.metadata.uid ?? '' })),
    status: {
      ...machine.status,
      observedGeneration: metadata.generation,
      conditions: summarise(
        machine.status?.conditions,
        { reconciling: because, ready: { status: 'False', ...because } },
        metadata.generation,
        now,
      ),
      replicas: ours.length,
      machines: ours
        .map((vm) => ({ ...surplusRow(snapshot, vm), message: 'is being removed' }))
        .sort((a, b) => a.ordinal - b.ordinal),
    },
  };
}
