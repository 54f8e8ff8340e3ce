import { type ImageStatus, imageStatus } from '../../api/image.ts';
import type { LinuxKitMachine } from '../../api/machine.ts';
import { machineName } from '../../kubevirt/guest-metadata.ts';
import type { VirtualMachine } from '../../kubevirt/types.ts';
import type { Stored } from '../../runtime/objects.ts';
import type { ImageObject } from '../image/objects.ts';
import type { MachineCaches } from './caches.ts';
import type { ImageView, Snapshot } from './snapshot.ts';

/** Collects snapshots from the caches alone: a decision costs no request. */
export class MachineGatherer {
  readonly #caches: MachineCaches;
  /** By the machine's uid: uids of the instances that we have ended and that its cache still shows. */
  readonly #ended = new Map<string, Set<string>>();

  constructor(caches: MachineCaches) {
    this.#caches = caches;
  }

  gather(machine: LinuxKitMachine): Snapshot {
    const { namespace, uid } = machine.metadata;
    const virtualMachines = this.#virtualMachines(machine);
    const instances = virtualMachines.flatMap((vm) => this.#caches.instances.byOwner(vm.metadata.uid));
    const image = this.#caches.images.get({ namespace, name: machine.spec.imageRef.name });
    return {
      machine,
      image: image === undefined ? undefined : viewOf(image),
      virtualMachines,
      instances,
      pods: instances.flatMap((vmi) => this.#caches.pods.byOwner(vmi.metadata.uid)),
      configMaps: this.#caches.configMaps.byOwner(uid),
      ended: this.#endedOf(
        uid,
        instances.map((vmi) => vmi.metadata.uid),
      ),
    };
  }

  /** An instance was ended by us: whatever the cache shows, it is going. */
  ended(machineUid: string, instanceUid: string): void {
    const known = this.#ended.get(machineUid);
    if (known === undefined) this.#ended.set(machineUid, new Set([instanceUid]));
    else known.add(instanceUid);
  }

  forget(machineUid: string): void {
    this.#ended.delete(machineUid);
  }

  #virtualMachines(machine: LinuxKitMachine): readonly Stored<VirtualMachine>[] {
    const { namespace, uid } = machine.metadata;
    const found = new Map(this.#caches.virtualMachines.byOwner(uid).map((vm) => [vm.metadata.name, vm]));
    for (let ordinal = 0; ordinal < machine.spec.replicas; ordinal += 1) {
      const name = machineName(machine, ordinal);
      const vm = this.#caches.virtualMachines.get({ namespace, name });
      if (vm !== undefined) found.set(name, vm);
    }
    return [...found.values()];
  }

  #endedOf(machineUid: string, present: readonly string[]): ReadonlySet<string> {
    const known = this.#ended.get(machineUid);
    if (known === undefined) return new Set();
    for (const uid of known) if (!present.includes(uid)) known.delete(uid);
    if (known.size === 0) this.#ended.delete(machineUid);
    return new Set(known);
  }
}

/** An image whose status does not fit the schema counts as one that has none yet: its own controller mends it. */
function viewOf(image: Stored<ImageObject>): ImageView {
  const parsed = imageStatus.safeParse(image.status ?? {});
  const { name, uid, deletionTimestamp } = image.metadata;
  return {
    metadata: { name, uid, ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
    ...(parsed.success ? { status: parsed.data as ImageStatus } : {}),
  };
}
