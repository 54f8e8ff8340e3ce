import { DEGRADED, type Observation, PAUSED, ROLLED_BACK, rfc3339, summarise } from '../../api/conditions.ts';
import type { LinuxKitMachine, MachineRow, MachineStatus } from '../../api/machine.ts';
import { LABEL_MACHINE } from '../../api/names.ts';
import { restartToken } from '../../kubevirt/revision.ts';
import type { Course } from './course.ts';
import { pendingSince } from './failure.ts';
import { type Member, ordinalOf, readingOf } from './fleet.ts';
import { revisionRows } from './history.ts';
import { isDetached } from './requests.ts';
import type { StoredRevision } from './revision.ts';
import type { Moves } from './rollout.ts';
import type { Snapshot, VirtualMachineView } from './snapshot.ts';
import { furtherConditions, isFine, standingOf } from './standing.ts';
import type { WindowState } from './window.ts';

/** What a status is made of. */
export interface StatusInput {
  readonly snapshot: Snapshot;
  readonly course: Course;
  readonly members: readonly Member[];
  readonly surplus: readonly VirtualMachineView[];
  /** Those that are kept, newest first. */
  readonly revisions: readonly StoredRevision[];
  readonly moves: Moves;
  readonly window: WindowState;
  readonly now: Date;
}

/** The schema allows no more; it is as many as there may be replicas. */
const ROWS_CEILING = 1000;

/** Characters of the rows' messages together: the API server stores no object of more than 1.5 MiB. */
const MESSAGES_CEILING = 256 * 1024;
/** Characters of one row's message, which are still enough to tell what it is about. */
const MESSAGE_FLOOR = 128;

export function statusOf(input: StatusInput): MachineStatus {
  const { snapshot, course, members, surplus, revisions, now } = input;
  const { machine } = snapshot;
  const { target } = course;
  const ours = members.filter((member) => member.ownership === 'ours');
  const before = machine.status;
  const booted = members.flatMap((member) => member.reading.instance?.artifact ?? []);
  const running = members.flatMap((member) => member.reading.instance?.revision ?? []);
  const digest = comingFrom(before?.currentDigest, booted, target?.artifact.digest);
  const revision = comingFrom(before?.currentRevision, running, target?.name);
  const healthyNow = healthyRevision(course, members);
  const healthy = healthyNow ?? before?.healthyRevision;
  // Halted, and yet all of them came up in the end: then it works.
  const failed = course.failed?.name === healthyNow ? undefined : course.failed;
  const token = restartToken(machine);
  const available = ours.filter((member) => member.available).length;
  return {
    observedGeneration: machine.metadata.generation,
    conditions: conditionsOf({ ...input, course: { ...course, failed } }),
    replicas: ours.length + surplus.length,
    readyReplicas: ours.filter((member) => member.reading.ready).length,
    availableReplicas: available,
    unavailableReplicas: members.length - available,
    updatedReplicas: ours.filter((member) => isOnTarget(course, member)).length,
    selector: `${LABEL_MACHINE}=${machine.metadata.name}`,
    ...(digest === undefined ? {} : { currentDigest: digest }),
    ...(target === undefined ? {} : { targetDigest: target.artifact.digest }),
    ...(revision === undefined ? {} : { currentRevision: revision }),
    ...(target === undefined ? {} : { targetRevision: target.name }),
    ...(healthy === undefined ? {} : { healthyRevision: healthy }),
    ...(revisions.length === 0 ? {} : { revisions: revisionRows(revisions) }),
    ...(failed === undefined ? {} : { failedRevision: failed }),
    machines: withBoundMessages(
      [
        ...members.map((member) => rowOf(machine, course, member, now)),
        ...surplus.map((vm) => surplusRow(snapshot, vm)).reverse(),
      ].slice(0, ROWS_CEILING),
    ),
    ...(token === undefined ? {} : { lastHandledRestart: token }),
    ...course.requests.handled,
  };
}

/** A fleet that fails as one says the same a thousand times: then each says less. */
function withBoundMessages(rows: readonly MachineRow[]): readonly MachineRow[] {
  const limit = Math.max(MESSAGE_FLOOR, Math.floor(MESSAGES_CEILING / Math.max(1, rows.length)));
  return rows.map((row) =>
    row.message === undefined ? row : { ...row, message: row.message.slice(0, limit) },
  );
}

function conditionsOf(input: StatusInput): NonNullable<MachineStatus['conditions']> {
  const { snapshot, course, members, now } = input;
  const { machine } = snapshot;
  const { kind, reason, message } = standingOf(input);
  const ready: Observation = { status: kind === 'ready' ? 'True' : 'False', reason, message };
  const { degraded, rolledBack, paused } = furtherConditions(machine, course, members, now);
  return summarise(
    machine.status?.conditions,
    {
      ready,
      reconciling: kind === 'reconciling' ? { reason, message } : undefined,
      stalled: kind === 'stalled' ? { reason, message } : undefined,
      others: { [DEGRADED]: degraded, [ROLLED_BACK]: rolledBack, [PAUSED]: paused },
    },
    machine.metadata.generation,
    now,
  );
}

function isOnTarget({ target }: Course, member: Member): boolean {
  return member.updated && target !== undefined && member.goal?.name === target.name;
}

/** The target, if every machine runs it and is ready: it is what a later one is rolled back to. */
function healthyRevision(course: Course, members: readonly Member[]): string | undefined {
  const fleet = members.filter((member) => !member.detached);
  const all = fleet.every((member) => isOnTarget(course, member) && isFine(member));
  return all && fleet.some((member) => member.available) ? course.target?.name : undefined;
}

/**
 * What the machines have been on. It stays while any of them runs it, so that it is known what a
 * rollout comes from; after the last one has left, it is what all of them run.
 */
function comingFrom<T extends string>(
  before: T | undefined,
  running: readonly T[],
  wanted: T | undefined,
): T | undefined {
  if (before !== undefined && (running.length === 0 || running.includes(before))) return before;
  return running.find((each) => each !== wanted) ?? running[0];
}

function rowOf(machine: LinuxKitMachine, course: Course, member: Member, now: Date): MachineRow {
  const { ordinal, name, reading, ownership, detached } = member;
  if (ownership === 'foreign' || ownership === 'former') {
    const message =
      ownership === 'foreign'
        ? 'a VirtualMachine of this name is not ours and is left alone'
        : 'waits until the one of a deleted machine of this name is gone';
    return {
      name,
      ordinal,
      phase: ownership === 'foreign' ? 'Foreign' : 'Stopping',
      ready: false,
      updated: false,
      message,
    };
  }
  const since = pendingSince(machine, course, member, now);
  return {
    name,
    ordinal,
    ...readingRow(reading),
    updated: isOnTarget(course, member),
    ...(since === undefined ? {} : { pendingSince: rfc3339(since) }),
    ...(detached ? { detached } : {}),
  };
}

/** Of a virtual machine that replicas does not ask for. */
export function surplusRow(snapshot: Snapshot, vm: VirtualMachineView): MachineRow {
  const row = readingRow(readingOf(snapshot, vm));
  const apart = isDetached(vm);
  return {
    name: vm.metadata.name,
    ordinal: ordinalOf(vm),
    ...row,
    updated: false,
    ...(apart ? { detached: true } : {}),
    message: apart ? 'is detached, and stays until it is not' : 'is being removed',
  };
}

function readingRow(reading: Member['reading']): Omit<MachineRow, 'name' | 'ordinal' | 'updated'> {
  const { phase, ready, readySince, node, addresses, instance, trouble } = reading;
  return {
    phase,
    ready,
    ...(readySince === undefined ? {} : { readySince }),
    ...(instance?.revision === undefined ? {} : { revision: instance.revision.slice(0, 253) }),
    ...(instance?.artifact === undefined ? {} : { bootedDigest: instance.artifact }),
    ...(node === undefined ? {} : { node }),
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(trouble === undefined ? {} : { message: `${trouble.reason}: ${trouble.message}`.slice(0, 1024) }),
  };
}
