import { rfc3339 } from '../../api/conditions.ts';
import { type FailedRevision, type LinuxKitMachine, updatePolicy } from '../../api/machine.ts';
import type { Course } from './course.ts';
import type { Member } from './fleet.ts';
import type { Revision } from './revision.ts';

/** What becomes of a rollout that has failed. */
export interface Failure {
  readonly failed: FailedRevision | undefined;
  readonly target: Revision;
}

/** Milliseconds for which a machine may be on its way: from the moment at which it is taken down. */
export function patienceMs({ spec }: LinuxKitMachine): number {
  const { progressDeadlineSeconds, minReadySeconds } = updatePolicy(spec);
  return (progressDeadlineSeconds + minReadySeconds + spec.terminationGracePeriodSeconds) * 1000;
}

/** Since when a machine has been on its way to its goal, by the last status and now. */
export function pendingSince(
  machine: LinuxKitMachine,
  course: Course,
  member: Member,
  now: Date,
): Date | undefined {
  if (!member.pending || course.requests.paused) return undefined;
  const { status } = machine;
  const row = status?.machines?.find(({ name }) => name === member.name);
  const before = Date.parse(row?.pendingSince ?? '');
  // With another target the time begins anew.
  if (Number.isNaN(before) || status?.targetRevision !== course.target?.name) return now;
  return new Date(before);
}

/** Milliseconds until the first machine has been on its way for too long; none while that would say nothing. */
export function deadlineMs(
  machine: LinuxKitMachine,
  course: Course,
  members: readonly Member[],
  now: Date,
): number | undefined {
  const waits = judged(machine, course, members).flatMap((member) => {
    const since = pendingSince(machine, course, member, now);
    return since === undefined ? [] : since.getTime() + patienceMs(machine) - now.getTime();
  });
  return waits.length === 0 ? undefined : Math.max(0, Math.min(...waits));
}

/** The machines by which a target is judged: with one that was seen to work, it is something else that fails. */
function judged(machine: LinuxKitMachine, course: Course, members: readonly Member[]): readonly Member[] {
  const { target, proven, failed, requests } = course;
  const silent = target === undefined || proven || requests.paused || machine.spec.runStrategy === 'Halted';
  if (silent || failed?.halted === true) return [];
  return members.filter((member) => member.pending && member.goal?.name === target.name);
}

/**
 * Whether the target has failed: a machine was on its way to it for too long. Then it is left, by
 * policy, for what worked before, or everything stays as it is. What fails on the way back is no
 * reason to go anywhere else: so nothing goes to and fro.
 */
export function failureOf(
  machine: LinuxKitMachine,
  course: Course,
  members: readonly Member[],
  now: Date,
): Failure | undefined {
  const late = judged(machine, course, members).find((member) => {
    const since = pendingSince(machine, course, member, now);
    return since !== undefined && now.getTime() - since.getTime() >= patienceMs(machine);
  });
  const { target, desired, base, failed } = course;
  if (late === undefined || target === undefined) return undefined;
  if (failed !== undefined) {
    if (failed.reason === 'RollbackRequested' && desired !== undefined && base?.name === desired.name)
      return { failed: undefined, target: desired };
    return { target, failed: { ...failed, halted: true, message: lateMessage(machine, target, late) } };
  }
  const back =
    updatePolicy(machine.spec).onFailure === 'Rollback' && base?.name !== target.name ? base : undefined;
  // What is desired has not been taken yet (strategy Manual): there is nothing to remember against it.
  if (desired !== undefined && desired.name !== target.name)
    return back === undefined ? undefined : { failed: undefined, target: back };
  return {
    target: back ?? target,
    failed: {
      name: target.name,
      digest: target.artifact.digest,
      reason: 'ProgressDeadlineExceeded',
      message: lateMessage(machine, target, late),
      time: rfc3339(now),
      ...(back === undefined ? {} : { rolledBackTo: back.name }),
      halted: back === undefined,
    },
  };
}

function lateMessage(machine: LinuxKitMachine, target: Revision, { name, reading }: Member): string {
  const { trouble, phase } = reading;
  const because = trouble === undefined ? `is ${phase}` : `${trouble.reason}: ${trouble.message}`;
  const { progressDeadlineSeconds } = updatePolicy(machine.spec);
  return `${name} did not become ready with ${target.name}, artifact ${target.artifact.digest}, within ${progressDeadlineSeconds} s: ${because}`.slice(
    0,
    2048,
  );
}
