import type { LinuxKitMachine } from '../api/machine.ts';
import { API_VERSION, MACHINE_KIND } from '../api/names.ts';
import type { Metadata, OwnerReference } from './types.ts';

/** What ties a machine's objects to it: they are collected when it is gone. */
export function ownedBy(machine: LinuxKitMachine): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: MACHINE_KIND,
    name: machine.metadata.name,
    uid: machine.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Whose an object is: this machine's, a machine's of the same name that was deleted, or another's. */
export type Ownership = 'ours' | 'former' | 'foreign';

export function ownershipOf(machine: LinuxKitMachine, object: { readonly metadata: Metadata }): Ownership {
  const owner = object.metadata.ownerReferences?.find((reference) => reference.controller === true);
  if (owner === undefined) return 'foreign';
  if (owner.uid === machine.metadata.uid) return 'ours';
  // Garbage collection works in the background: what a deleted machine owned outlives it for a while.
  return owner.kind === MACHINE_KIND &&
    owner.apiVersion === API_VERSION &&
    owner.name === machine.metadata.name
    ? 'former'
    : 'foreign';
}
