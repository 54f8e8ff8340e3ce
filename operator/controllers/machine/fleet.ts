import type { Artifact } from '../../api/image.ts';
import type { LinuxKitMachine } from '../../api/machine.ts';
import { ANNOTATION_REVISION, LABEL_ORDINAL } from '../../api/names.ts';
import { machineName } from '../../kubevirt/guest-metadata.ts';
import { ownershipOf } from '../../kubevirt/owner.ts';
import { type InstanceReading, readInstance } from '../../kubevirt/read-instance.ts';
import { revisionOf } from '../../kubevirt/revision.ts';
import { KUBEVIRT_API_VERSION, type VirtualMachine } from '../../kubevirt/types.ts';
import type { Snapshot, VirtualMachineView } from './snapshot.ts';

/** One virtual machine as it stands against what is wanted of it. */
export interface Member {
  readonly ordinal: number;
  readonly name: string;
  /** `absent`: there is none. `former`: left over of a deleted machine of this name. `foreign`: somebody else's. */
  readonly ownership: 'absent' | 'ours' | 'former' | 'foreign';
  readonly vm: VirtualMachineView | undefined;
  readonly reading: InstanceReading;
  /** The revision that it is to run; undefined while it is not known what to boot. */
  readonly wanted: string | undefined;
  /** Its next instance will be of the wanted revision. */
  readonly staged: boolean;
  /** Its instance is of the wanted revision; or it rests, and is staged. */
  readonly updated: boolean;
  /** It does not run, and its run strategy has nothing against that. */
  readonly resting: boolean;
  /** It serves: ready, and after an update so for `minReadySeconds`. */
  readonly available: boolean;
  /** Milliseconds after which it will be available if it stays ready. */
  readonly availableAfterMs?: number;
}

/** Ordinals from 0 to replicas - 1, in order. */
export function fleetOf(snapshot: Snapshot, artifact: Artifact | undefined, now: Date): readonly Member[] {
  return Array.from({ length: snapshot.machine.spec.replicas }, (_, ordinal) =>
    memberOf(snapshot, ordinal, artifact, now),
  );
}

function memberOf(snapshot: Snapshot, ordinal: number, artifact: Artifact | undefined, now: Date): Member {
  const { machine } = snapshot;
  const name = machineName(machine, ordinal);
  const vm = snapshot.virtualMachines.find((candidate) => candidate.metadata.name === name);
  const ownership = vm === undefined ? 'absent' : ownershipOf(machine, vm);
  const reading = ownership === 'ours' ? readingOf(snapshot, vm) : readInstance(undefined, undefined, []);
  const wanted = artifact === undefined ? undefined : revisionOf(machine, artifact, ordinal);
  const staged =
    wanted !== undefined && vm?.spec?.template.metadata?.annotations?.[ANNOTATION_REVISION] === wanted;
  const resting = reading.phase === 'Stopped' && machine.spec.runStrategy !== 'Always';
  const booted =
    wanted !== undefined &&
    reading.instance?.revision === wanted &&
    reading.instance.bootImage === artifact?.bootImage.digest;
  const updated = ownership === 'ours' && (resting ? staged : booted);
  const waitMs = updated ? settlingMs(machine, reading, now) : 0;
  return {
    ordinal,
    name,
    ownership,
    vm,
    reading,
    wanted,
    staged,
    updated,
    resting,
    available: reading.ready && waitMs === 0,
    ...(reading.ready && waitMs > 0 ? { availableAfterMs: waitMs } : {}),
  };
}

/** How long a machine that has just become ready has yet to stay so. */
function settlingMs(machine: LinuxKitMachine, reading: InstanceReading, now: Date): number {
  const seconds = machine.spec.update?.minReadySeconds ?? 0;
  if (seconds === 0 || reading.readySince === undefined) return 0;
  const since = Date.parse(reading.readySince);
  return Number.isNaN(since) ? 0 : Math.max(0, since + seconds * 1000 - now.getTime());
}

/** What its objects say, except that an instance we have ended is ending whatever an old copy says. */
export function readingOf(snapshot: Snapshot, vm: VirtualMachineView | undefined): InstanceReading {
  if (vm?.spec === undefined) return readInstance(undefined, undefined, []);
  const instance = snapshot.instances.find(
    (vmi) =>
      vmi.metadata.name === vm.metadata.name &&
      vmi.metadata.ownerReferences?.some((owner) => owner.uid === vm.metadata.uid) === true,
  );
  const pods = snapshot.pods.filter(
    (pod) => pod.metadata.ownerReferences?.some((owner) => owner.uid === instance?.metadata.uid) === true,
  );
  const machine: VirtualMachine = {
    apiVersion: KUBEVIRT_API_VERSION,
    kind: 'VirtualMachine',
    metadata: vm.metadata,
    spec: vm.spec,
    ...(vm.status === undefined ? {} : { status: vm.status }),
  };
  const reading = readInstance(machine, instance, pods);
  if (reading.instance === undefined || !snapshot.ended.has(reading.instance.uid)) return reading;
  return { ...reading, phase: 'Stopping', ready: false, instance: { ...reading.instance, ending: true } };
}

/** Virtual machines of ours that replicas asks for no more, highest ordinal first. */
export function surplusOf({ machine, virtualMachines }: Snapshot): readonly VirtualMachineView[] {
  const wanted = new Set(
    Array.from({ length: machine.spec.replicas }, (_, ordinal) => machineName(machine, ordinal)),
  );
  return virtualMachines
    .filter((vm) => ownershipOf(machine, vm) === 'ours' && !wanted.has(vm.metadata.name))
    .sort((a, b) => ordinalOf(b) - ordinalOf(a));
}

export function ordinalOf(vm: VirtualMachineView): number {
  const ordinal = Number(vm.metadata.labels?.[LABEL_ORDINAL] ?? vm.metadata.name.split('-').at(-1));
  return Number.isInteger(ordinal) && ordinal >= 0 ? ordinal : 0;
}
