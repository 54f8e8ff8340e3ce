import { type LinuxKitMachine, updatePolicy } from '../../api/machine.ts';
import type { Course } from './course.ts';
import type { Member } from './fleet.ts';
import { type Slots, takeSlots } from './slots.ts';

/** What bounds a rollout besides the machine's own policy. */
export interface Bounds {
  /** The target is known to work: it needs not be tried on a few first. */
  readonly proven: boolean;
  /** What was taken has failed: it is left, whatever the strategy. */
  readonly goingBack: boolean;
  /** The maintenance window is open, or there is none. */
  readonly windowOpen: boolean;
  readonly slots: Slots;
}

export interface Moves {
  /** Moved to their goal now, and restarted for it. */
  readonly restart: readonly Member[];
  /** Given the template of their goal, to start with when they start again anyway. */
  readonly stage: readonly Member[];
  /** Why no more are restarted, if it is not for the machine's own policy. */
  readonly waitsFor: 'window' | 'slot' | undefined;
}

/**
 * Which machines are moved to the wanted revision now.
 *
 * A machine counts as down while it does not serve: it is missing, starts, ends, fails its probe, or has
 * not been ready long enough after an update. At most `maxUnavailable` are down by our doing. Of
 * those that serve, the highest ordinal goes first.
 *
 * One that is down anyway costs nothing, and a machine stuck on a bad digest comes back in no
 * other way: all of those are moved at once to a revision that has come up somewhere. One that was never seen
 * to work is tried by as many as may be down: it may be the bad one, and a machine that is down for a moment
 * comes back with what it had. So a revision that does not come up takes what `maxUnavailable` allows, and
 * halts there.
 *
 * The window and the slots hold back machines that serve. A restart that was asked for does not wait for
 * the window.
 */
export function chooseMoves(machine: LinuxKitMachine, members: readonly Member[], bounds: Bounds): Moves {
  const { strategy } = updatePolicy(machine.spec);
  const counted = members.filter((member) => !member.detached);
  const outdated = counted.filter(
    (member) =>
      member.ownership === 'ours' && member.goal !== undefined && !member.updated && canMove(member),
  );
  // Nothing is meant to run: there is nobody to be careful about.
  if (machine.spec.runStrategy === 'Halted') return { restart: outdated, stage: [], waitsFor: undefined };
  const allowed = allowedDown(machine);
  const underWay = counted.filter((member) => (member.staged || member.updated) && isDown(member)).length;
  const works = bounds.proven || bounds.goingBack || counted.some(isUp);
  const tries = works ? outdated.length : Math.max(0, allowed - underWay);

  const down = outdated.filter(
    (member) => !member.available && (strategy !== 'OnRestart' || bounds.goingBack || isStuck(member)),
  );
  const free = [
    ...down.filter(({ staged }) => staged),
    ...down
      .filter(({ staged }) => !staged)
      .sort((a, b) => b.ordinal - a.ordinal)
      .slice(0, tries),
  ];
  const due = outdated.filter(
    (member) => member.available && (strategy !== 'OnRestart' || member.restartDue),
  );
  const inWindow = due.filter((member) => bounds.windowOpen || member.restartDue);
  const budget = Math.max(0, allowed - counted.filter(isDown).length);
  const candidates = inWindow
    .sort((a, b) => Number(b.staged) - Number(a.staged) || b.ordinal - a.ordinal)
    .slice(0, budget)
    .map((member) => ({ member, node: member.reading.node }));
  const granted = takeSlots(candidates, bounds.slots).map(({ member }) => member);
  const restart = [...free, ...granted];
  return {
    restart,
    stage: strategy === 'OnRestart' ? outdated.filter((member) => !restart.includes(member)) : [],
    waitsFor: waitsFor(due.length > inWindow.length, granted.length < candidates.length),
  };
}

function waitsFor(window: boolean, slot: boolean): Moves['waitsFor'] {
  if (slot) return 'slot';
  return window ? 'window' : undefined;
}

/** Runs what is wanted, and has for long enough. */
function isUp(member: Member): boolean {
  return member.updated && member.available;
}

export function isDown(member: Member): boolean {
  return !member.available && !member.resting;
}

/** No guest runs in it that could be disturbed; it is not merely unready for a moment. */
function isStuck({ reading, restartDue }: Member): boolean {
  return restartDue || !['Running', 'Migrating', 'Paused'].includes(reading.phase);
}

/** An instance that is being moved to another node is left alone until it has arrived. */
function canMove(member: Member): boolean {
  return member.reading.instance?.migrating !== true && member.vm?.metadata.deletionTimestamp === undefined;
}

/** `maxUnavailable` as a number of machines: a percentage is rounded down, but one may always be down. */
export function allowedDown(machine: LinuxKitMachine): number {
  const given = updatePolicy(machine.spec).maxUnavailable;
  if (typeof given === 'number') return given;
  return Math.max(1, Math.floor((machine.spec.replicas * Number.parseInt(given, 10)) / 100));
}

/**
 * Which of the missing machines are made with the target. Where there is another choice, only as
 * many as may be down try a target that has not come up anywhere; the others are made with what works.
 */
export function makeWithTarget(
  machine: LinuxKitMachine,
  members: readonly Member[],
  moves: Moves,
  course: Pick<Course, 'proven' | 'base' | 'failed'>,
): ReadonlySet<Member> {
  const missing = members.filter((member) => member.ownership === 'absent');
  const { base, failed, proven } = course;
  if (base === undefined) return new Set(missing);
  if (failed?.halted === true) return new Set();
  const { partition } = updatePolicy(machine.spec);
  const fit = failed === undefined ? missing.filter((member) => member.ordinal >= partition) : missing;
  if (proven || members.some(isUp)) return new Set(fit);
  const trying = members.filter((member) => (member.staged || member.updated) && isDown(member)).length;
  return new Set(fit.slice(0, Math.max(0, allowedDown(machine) - trying - moves.restart.length)));
}
