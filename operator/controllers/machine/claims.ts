import type { LinuxKitMachine } from '../../api/machine.ts';
import { LABEL_MACHINE, LABEL_ORDINAL } from '../../api/names.ts';
import { claimsOf, type MachineClaim } from '../../kubevirt/claim.ts';
import { machineName } from '../../kubevirt/guest-metadata.ts';
import { ownedBy } from '../../kubevirt/owner.ts';
import type { Action } from './actions.ts';
import type { ObjectView, Snapshot } from './snapshot.ts';

/** Claims that a virtual machine needs and that are not there. One of that name that is not ours is used as it is. */
export function missingClaims(
  snapshot: Snapshot,
  machine: LinuxKitMachine,
  ordinal: number,
): readonly MachineClaim[] {
  const present = new Set(snapshot.claims.map(({ metadata }) => metadata.name));
  return claimsOf(machine, ordinal).filter(({ metadata }) => !present.has(metadata.name));
}

/**
 * What the retention policy has done with claims that are there: owned by the machine, if they are to
 * go with it, and deleted once the virtual machine that replicas does not ask for any more is gone.
 * Claims without our label are never touched.
 */
export function retainClaims({ machine, claims, virtualMachines }: Snapshot): readonly Action[] {
  const policy = machine.spec.persistentVolumeClaimRetentionPolicy;
  const present = new Set(virtualMachines.map((vm) => vm.metadata.name));
  return claims.flatMap(({ metadata }): readonly Action[] => {
    const { name, uid = '', resourceVersion = '', ownerReferences = [], deletionTimestamp } = metadata;
    const ordinal = ordinalOf(machine, { metadata });
    if (ordinal === undefined || deletionTimestamp !== undefined) return [];
    const surplus = ordinal >= machine.spec.replicas;
    if (surplus && policy?.whenScaled === 'Delete' && !present.has(machineName(machine, ordinal)))
      return [{ kind: 'deleteClaim', name, uid }];
    const others = ownerReferences.filter((owner) => owner.uid !== machine.metadata.uid);
    const owned = others.length < ownerReferences.length;
    if (owned === (policy?.whenDeleted === 'Delete')) return [];
    const owners = owned ? others : [...others, ownedBy(machine)];
    return [{ kind: 'ownClaim', name, resourceVersion, ownerReferences: owners }];
  });
}

function ordinalOf(machine: LinuxKitMachine, { metadata }: ObjectView): number | undefined {
  if (metadata.labels?.[LABEL_MACHINE] !== machine.metadata.name) return undefined;
  const text = metadata.labels[LABEL_ORDINAL] ?? '';
  return /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}
