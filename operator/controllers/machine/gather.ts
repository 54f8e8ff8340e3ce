import { type ImageStatus, imageStatus } from '../../api/image.ts';
import type { LinuxKitMachine } from '../../api/machine.ts';
import { claimsOf } from '../../kubevirt/claim.ts';
import { machineName } from '../../kubevirt/guest-metadata.ts';
import type { VirtualMachine } from '../../kubevirt/types.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type KubeObject, keyText, type Stored } from '../../runtime/objects.ts';
import type { ImageObject } from '../image/objects.ts';
import { BY_MACHINE, type MachineCaches } from './caches.ts';
import { OwnWrites } from './own-writes.ts';
import { type ControllerRevision, readRevision, type StoredRevision } from './revision.ts';
import type { Slots } from './slots.ts';
import type { ImageView, ObjectView, Snapshot } from './snapshot.ts';

/** How long a claim that somebody else made is believed to be there. */
const TAKEN_MS = 10 * 60_000;

/** Collects snapshots from the caches, and from what we wrote that they do not show yet: a decision costs no request. */
export class MachineGatherer {
  readonly #caches: MachineCaches;
  readonly #clock: Clock;
  readonly machines: OwnWrites<VirtualMachine>;
  readonly revisions: OwnWrites<ControllerRevision>;
  /** By the machine's uid: uids of the instances that we have ended and that its cache still shows. */
  readonly #ended = new Map<string, Set<string>>();
  /** By uid: but for its number, a revision never changes. */
  readonly #read = new Map<string, StoredRevision | undefined>();
  /** Claims without our label that were found in the place of ours: when to look again. */
  readonly #taken = new Map<string, number>();

  constructor(caches: MachineCaches, clock: Clock) {
    this.#caches = caches;
    this.#clock = clock;
    const now = (): number => clock.monotonic();
    this.machines = new OwnWrites(now);
    this.revisions = new OwnWrites(now);
    caches.revisions.onChange(({ type, object }) => {
      if (type === 'deleted') this.#read.delete(object.metadata.uid);
    });
  }

  /** `instanceMemory`: see {@link Snapshot}; it takes a request, and is asked for before. */
  gather(machine: LinuxKitMachine, slots: Slots, instanceMemory?: string): Snapshot {
    const { namespace, uid } = machine.metadata;
    const virtualMachines = this.#virtualMachines(machine);
    const instances = virtualMachines.flatMap((vm) => this.#caches.instances.byOwner(vm.metadata.uid));
    const image = this.#caches.images.get({ namespace, name: machine.spec.imageRef.name });
    const owned = (object: Stored<KubeObject>): boolean =>
      object.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
    const revisions = this.revisions.merge(this.#caches.revisions.byOwner(uid), owned);
    return {
      machine,
      image: image === undefined ? undefined : viewOf(image),
      revisions: revisions.flatMap((revision) => this.#readOnce(revision) ?? []),
      virtualMachines,
      instances,
      pods: instances.flatMap((vmi) => this.#caches.pods.byOwner(vmi.metadata.uid)),
      configMaps: this.#caches.configMaps.byOwner(uid),
      claims: this.#claims(machine),
      ended: this.#endedOf(
        uid,
        instances.map((vmi) => vmi.metadata.uid),
      ),
      ...(instanceMemory === undefined ? {} : { instanceMemory }),
      slots,
    };
  }

  /** An instance was ended by us: whatever the cache shows, it is going. */
  ended(machineUid: string, instanceUid: string): void {
    const known = this.#ended.get(machineUid);
    if (known === undefined) this.#ended.set(machineUid, new Set([instanceUid]));
    else known.add(instanceUid);
  }

  /** A claim of this name is there, and not in our cache. */
  taken(namespace: string, name: string): void {
    this.#taken.set(keyText({ namespace, name }), this.#clock.monotonic() + TAKEN_MS);
  }

  forget(machineUid: string): void {
    this.#ended.delete(machineUid);
  }

  #readOnce(object: Stored<ControllerRevision>): StoredRevision | undefined {
    const key = object.metadata.uid;
    if (!this.#read.has(key)) this.#read.set(key, readRevision(object));
    const read = this.#read.get(key);
    return read === undefined ? undefined : { ...read, number: object.revision };
  }

  #virtualMachines(machine: LinuxKitMachine): readonly Stored<VirtualMachine>[] {
    const { namespace, uid } = machine.metadata;
    const found = new Map(this.#caches.virtualMachines.byOwner(uid).map((vm) => [vm.metadata.name, vm]));
    for (let ordinal = 0; ordinal < machine.spec.replicas; ordinal += 1) {
      const name = machineName(machine, ordinal);
      const vm = this.#caches.virtualMachines.get({ namespace, name });
      if (vm !== undefined) found.set(name, vm);
    }
    return this.machines.merge(
      [...found.values()],
      (vm) => vm.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true,
    );
  }

  #claims(machine: LinuxKitMachine): readonly ObjectView[] {
    const { namespace, name } = machine.metadata;
    const templates = machine.spec.disks?.some((disk) => disk.volumeClaimTemplate !== undefined) === true;
    const labelled = this.#caches.claims.byIndex(BY_MACHINE, keyText({ namespace, name }));
    if (!templates) return labelled;
    const now = this.#clock.monotonic();
    const taken = Array.from({ length: machine.spec.replicas }, (_, ordinal) => claimsOf(machine, ordinal))
      .flat()
      .filter((claim) => (this.#taken.get(keyText({ namespace, name: claim.metadata.name })) ?? 0) > now)
      .map((claim) => ({ metadata: { name: claim.metadata.name } }));
    return [...labelled, ...taken];
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
