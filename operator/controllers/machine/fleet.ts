import { type LinuxKitMachine, updatePolicy } from '../../api/machine.ts';
import { ANNOTATION_RESTART, ANNOTATION_REVISION, LABEL_ORDINAL } from '../../api/names.ts';
import { machineName } from '../../kubevirt/guest-metadata.ts';
import { ownershipOf } from '../../kubevirt/owner.ts';
import { type InstanceReading, readInstance } from '../../kubevirt/read-instance.ts';
import { type BootRevision, restartToken } from '../../kubevirt/revision.ts';
import { KUBEVIRT_API_VERSION, type VirtualMachine } from '../../kubevirt/types.ts';
import type { Course } from './course.ts';
import { isDetached } from './requests.ts';
import type { Revision } from './revision.ts';
import type { Snapshot, VirtualMachineView } from './snapshot.ts';

/** One virtual machine as it stands against what is wanted of it. */
export interface Member {
  readonly ordinal: number;
  readonly name: string;
  /** `absent`: there is none. `former`: left over of a deleted machine of this name. `foreign`: somebody else's. */
  readonly ownership: 'absent' | 'ours' | 'former' | 'foreign';
  readonly vm: VirtualMachineView | undefined;
  /** Somebody looks into it: it is left alone. */
  readonly detached: boolean;
  readonly reading: InstanceReading;
  /** The revision that it is to be of; undefined while it is not known, and then it is left as it is. */
  readonly goal: Revision | undefined;
  /** The revision that it has, or is about to start with, if that is kept still. */
  readonly own: (Revision & BootRevision) | undefined;
  /** Its next instance will be of the goal, and start after the restart that was last asked for. */
  readonly staged: boolean;
  /** Its instance is of the goal, and started after that restart; or it rests, and is staged. */
  readonly updated: boolean;
  /** Its instance was started before the restart that was last asked for. */
  readonly restartDue: boolean;
  /** It does not run, and its run strategy has nothing against that. */
  readonly resting: boolean;
  /** It is on its way to its goal, and has not arrived. */
  readonly pending: boolean;
  /** It serves: ready, and after an update so for `minReadySeconds`. */
  readonly available: boolean;
  /** Milliseconds after which it will be available if it stays ready. */
  readonly availableAfterMs?: number;
}

/** Ordinals from 0 to replicas - 1, in order. */
export function fleetOf(snapshot: Snapshot, course: Course, now: Date): readonly Member[] {
  return Array.from({ length: snapshot.machine.spec.replicas }, (_, ordinal) =>
    memberOf(snapshot, course, ordinal, now),
  );
}

function memberOf(snapshot: Snapshot, course: Course, ordinal: number, now: Date): Member {
  const { machine } = snapshot;
  const name = machineName(machine, ordinal);
  const vm = snapshot.virtualMachines.find((candidate) => candidate.metadata.name === name);
  const ownership = vm === undefined ? 'absent' : ownershipOf(machine, vm);
  const ours = ownership === 'ours';
  const reading = ours ? readingOf(snapshot, vm) : readInstance(undefined, undefined, []);
  const laid = vm?.spec?.template.metadata?.annotations;
  const known = (revision: string | undefined): Revision | undefined =>
    [...snapshot.revisions, course.target].find((candidate) => candidate?.name === revision);
  const { instance } = reading;
  const ran = ours ? known(instance?.revision) : undefined;
  const laidOut = ours ? known(laid?.[ANNOTATION_REVISION]) : undefined;
  const own = instance?.ending === false ? (ran ?? laidOut) : laidOut;
  const goal = ours && staysPut(machine, course, ordinal) ? (ran ?? own) : course.target;

  const restart = restartToken(machine);
  const staged = ours && isAt(goal, restart, laid?.[ANNOTATION_REVISION], laid?.[ANNOTATION_RESTART]);
  const resting = ours && reading.phase === 'Stopped' && machine.spec.runStrategy !== 'Always';
  const booted =
    isAt(goal, restart, instance?.revision, instance?.restart) &&
    instance?.bootImage === goal?.artifact.bootImage.digest;
  const updated = ours && (resting ? staged : booted);
  const waitMs = updated ? settlingMs(machine, reading, now) : 0;
  const available = reading.ready && waitMs === 0;
  const left = instance === undefined || instance.ending;
  const detached = ours && vm !== undefined && isDetached(vm);
  return {
    ordinal,
    name,
    ownership,
    vm,
    detached,
    reading,
    goal,
    own:
      own === undefined
        ? undefined
        : { ...own, restart: instance?.ending === false ? instance.restart : laid?.[ANNOTATION_RESTART] },
    staged,
    updated,
    restartDue: restart !== undefined && instance !== undefined && instance.restart !== restart,
    resting,
    pending: ours && !detached && !resting && !available && (left ? staged : updated),
    available,
    ...(reading.ready && waitMs > 0 ? { availableAfterMs: waitMs } : {}),
  };
}

function isAt(
  goal: Revision | undefined,
  restart: string | undefined,
  revision: string | undefined,
  restarted: string | undefined,
): boolean {
  return goal !== undefined && revision === goal.name && restarted === restart;
}

/**
 * A machine below the partition keeps what it has, and so do all of them while a failed revision has
 * halted. Going back is for every machine that has left: the partition may have been raised since.
 */
function staysPut(machine: LinuxKitMachine, { failed }: Course, ordinal: number): boolean {
  if (failed !== undefined) return failed.halted;
  return ordinal < updatePolicy(machine.spec).partition;
}

/** How long a machine that has just become ready has yet to stay so. */
function settlingMs(machine: LinuxKitMachine, reading: InstanceReading, now: Date): number {
  const seconds = updatePolicy(machine.spec).minReadySeconds;
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
