import type { Observation } from '../../api/conditions.ts';
import { type LinuxKitMachine, updatePolicy } from '../../api/machine.ts';
import type { MachineReason } from '../../api/reasons.ts';
import type { RenderProblem } from '../../kubevirt/problems.ts';
import type { Course } from './course.ts';
import { patienceMs, pendingSince } from './failure.ts';
import type { Member } from './fleet.ts';
import { isDetached } from './requests.ts';
import type { Missing } from './snapshot.ts';
import type { StatusInput } from './status.ts';

/**
 * How a fleet stands, with a reason: as it should be, on its way, in need of a person, or, `waiting`, left
 * alone by request though it is not as it should be.
 */
export interface Standing {
  readonly kind: 'ready' | 'reconciling' | 'stalled' | 'waiting';
  readonly reason: MachineReason;
  readonly message: string;
}

/** The first that applies. Also the message that `kubectl get -o wide` shows. */
export function standingOf(input: StatusInput): Standing {
  const { snapshot, course, members, surplus } = input;
  const { machine, image } = snapshot;
  const { missing, problems, failed } = course;
  const fleet = members.filter((member) => !member.detached);
  if (course.requests.paused) return pausedStanding(fleet);
  if (missing !== undefined) return missingStanding(missing, input);
  const [problem, ...others] = problems;
  if (problem !== undefined) return problemStanding(problem, others.length);
  const foreign = members.filter((member) => member.ownership === 'foreign');
  if (foreign.length > 0) return conflictStanding(foreign);
  if (failed?.halted === true) {
    const message = `${failed.message}; machines are left as they are, and ${failed.name} is not tried again until image or spec changes`;
    return { kind: 'stalled', reason: 'RolloutHalted', message };
  }
  const going = surplus.filter((vm) => !isDetached(vm)).length;
  if (going > 0) {
    const message = `${going} more than ${members.length} are being removed`;
    return { kind: 'reconciling', reason: 'ScalingDown', message };
  }
  if (members.length === 0) return { kind: 'ready', reason: 'ScaledToZero', message: 'replicas is 0' };
  if (machine.spec.runStrategy === 'Halted') return haltedStanding(members);
  const standing = runningStanding(input, fleet);
  if (image?.metadata.deletionTimestamp === undefined) return standing;
  const deleted = `LinuxKitImage ${image.metadata.name} is being deleted${dependsText(input)}`;
  return { ...standing, message: `${standing.message}; ${deleted}` };
}

function pausedStanding(fleet: readonly Member[]): Standing {
  const fine = fleet.filter(isFine).length;
  const message = `machines are left alone; ${fine} of ${fleet.length} are as they should be`;
  return { kind: fine === fleet.length ? 'ready' : 'waiting', reason: 'Paused', message };
}

/** What is kept in storage for the machine, newest first; at most four are named. */
function dependsText({ revisions }: StatusInput): string {
  const digests = [...new Set(revisions.map(({ artifact }) => artifact.digest))];
  return digests.length === 0 ? '' : `; this machine depends on ${digests.slice(0, 4).join(', ')}`;
}

function missingStanding({ reason, message }: Missing, input: StatusInput): Standing {
  const { members } = input;
  const going = members.filter((member) => member.reading.ready).length;
  const meanwhile = going === 0 ? '' : `; ${going} of ${members.length} go on with what they have`;
  // An image may be applied together with its machine, or after it. A digest that was once there does not come back.
  const kind = reason === 'DigestNotFound' ? 'stalled' : 'reconciling';
  return { kind, reason, message: message + meanwhile + dependsText(input) };
}

function problemStanding({ reason, message }: RenderProblem, others: number): Standing {
  const more = others === 0 ? '' : ` (and ${others} more)`;
  return { kind: 'stalled', reason, message: message + more };
}

function conflictStanding(foreign: readonly Member[]): Standing {
  const names = foreign.map((member) => member.name).join(', ');
  const message = `VirtualMachine ${names} exists and is not ours: it is left alone; rename or remove it, or this object`;
  return { kind: 'stalled', reason: 'NameConflict', message };
}

function haltedStanding(members: readonly Member[]): Standing {
  const stopped = members.filter((member) => member.reading.phase === 'Stopped').length;
  return stopped === members.length
    ? { kind: 'ready', reason: 'Halted', message: `all ${stopped} are stopped, as runStrategy says` }
    : { kind: 'reconciling', reason: 'Provisioning', message: `${stopped} of ${members.length} are stopped` };
}

/** As it should be by now. */
export function isFine(member: Member): boolean {
  return member.updated && (member.available || member.resting);
}

function runningStanding(
  { snapshot, course, members, moves, window }: StatusInput,
  fleet: readonly Member[],
): Standing {
  const { machine } = snapshot;
  const { target, desired, failed } = course;
  const count = (holds: (member: Member) => boolean): number => fleet.filter(holds).length;
  const policy = updatePolicy(machine.spec);
  const staged = count((member) => isStagedOnly(member, policy.strategy));
  const held = moves.waitsFor === 'window' ? count((member) => !isFine(member) && member.available) : 0;
  const fine = count(isFine);
  const resting = count((member) => member.resting);
  const apart = members.length - fleet.length;
  const notes = [
    ...(resting === 0 ? [] : [`${resting} stopped by itself or on request`]),
    ...(apart === 0 ? [] : [`${apart} detached`]),
  ];
  const going = count((member) => member.reading.ready);
  const digest = target?.artifact.digest ?? '';
  const honest = machine.spec.readinessProbe === undefined ? ' (without a readiness probe: QEMU runs)' : '';
  const onTarget = count((member) => isFine(member) && member.goal?.name === target?.name);
  const so = `${onTarget} of ${fleet.length} run ${digest} and are ready`;

  if (fine + Math.max(staged, held) < fleet.length) {
    const { reason, message } = unfinished(fleet, so, moves.waitsFor === 'slot');
    if (failed === undefined) return { kind: 'reconciling', reason, message };
    return {
      kind: 'reconciling',
      reason: 'RolledBack',
      message: `${failed.message}; going back: ${message}`,
    };
  }
  const all = [`${going} of ${fleet.length} run ${digest} and are ready${honest}`, ...notes].join(', ');
  const some = [so, ...notes].join(', ');
  if (failed !== undefined) {
    const asked = failed.reason === 'RollbackRequested';
    const message = `${failed.message}; ${all}; ${failed.name} is not tried again until image or spec changes`;
    return { kind: asked ? 'ready' : 'stalled', reason: 'RolledBack', message };
  }
  if (held > 0) {
    const opens = window.changesAt === undefined ? 'never' : new Date(window.changesAt).toISOString();
    const message = `${some}; ${held} wait for the maintenance window, which opens ${opens}`;
    return { kind: 'ready', reason: 'WaitingForWindow', message };
  }
  if (staged > 0) {
    return {
      kind: 'ready',
      reason: 'UpdateStaged',
      message: `${some}; ${staged} take it when they start again`,
    };
  }
  if (desired !== undefined && desired.name !== target?.name) {
    const message = `${all}; ${desired.name}, artifact ${desired.artifact.digest}, waits to be asked for`;
    return { kind: 'ready', reason: 'UpdatePending', message };
  }
  if (onTarget < fine) {
    const message = `${some}; ${fine - onTarget} below partition ${policy.partition} keep what they have`;
    return { kind: 'ready', reason: 'PartitionReached', message };
  }
  return { kind: 'ready', reason: 'UpToDate', message: all };
}

function isStagedOnly(member: Member, strategy: string): boolean {
  return (
    strategy === 'OnRestart' && !isFine(member) && member.staged && member.available && !member.restartDue
  );
}

function unfinished(fleet: readonly Member[], so: string, forSlot: boolean): Omit<Standing, 'kind'> {
  const failing = fleet.find((member) => member.reading.trouble !== undefined && !member.available);
  if (failing?.reading.trouble !== undefined) {
    const { reason, message } = failing.reading.trouble;
    return { reason: 'MachineFailing', message: `${so}; ${failing.name}: ${reason}: ${message}` };
  }
  const outdated = fleet.filter(
    (member) => member.ownership === 'ours' && !member.updated && member.reading.instance,
  );
  if (forSlot) {
    const message = `${so}; ${outdated.length} wait until fewer machines of the cluster are being restarted`;
    return { reason: 'WaitingForSlot', message };
  }
  if (outdated.length > 0) {
    return {
      reason: 'RolloutInProgress',
      message: `${so}; ${outdated.length} are still to be restarted into it`,
    };
  }
  const starting = fleet.filter(
    (member) => !['Running', 'Migrating', 'Paused'].includes(member.reading.phase),
  );
  if (starting.length > 0) {
    const names = starting.map((member) => `${member.name} is ${member.reading.phase}`);
    return { reason: 'Provisioning', message: `${so}; ${names.slice(0, 5).join(', ')}` };
  }
  const waiting = fleet.filter((member) => !member.available).map((member) => member.name);
  return { reason: 'GuestNotReady', message: `${so}; not ready: ${waiting.slice(0, 5).join(', ')}` };
}

/** Conditions beside Ready and those that kstatus knows; undefined takes one away. */
export function furtherConditions(
  machine: LinuxKitMachine,
  course: Course,
  members: readonly Member[],
  now: Date,
): {
  readonly degraded: Observation | undefined;
  readonly rolledBack: Observation | undefined;
  readonly paused: Observation | undefined;
} {
  const { failed, requests } = course;
  const rolledBack: Observation | undefined =
    failed?.rolledBackTo === undefined
      ? undefined
      : {
          status: 'True',
          reason: failed.reason,
          message: `${failed.message}; back to ${failed.rolledBackTo} from ${failed.name}`,
        };
  const paused: Observation | undefined = requests.paused
    ? { status: 'True', reason: 'Paused', message: 'the annotation linuxkit.dev/paused is set' }
    : undefined;
  return { degraded: degradedOf(machine, course, members, now), rolledBack, paused };
}

function degradedOf(
  machine: LinuxKitMachine,
  course: Course,
  members: readonly Member[],
  now: Date,
): Observation | undefined {
  const { failed } = course;
  if (failed?.halted === true) return { status: 'True', reason: 'RolloutHalted', message: failed.message };
  const bad = members.filter((member) => {
    if (member.ownership !== 'ours' || member.detached || member.available || member.resting) return false;
    const since = pendingSince(machine, course, member, now);
    const late = since !== undefined && now.getTime() - since.getTime() >= patienceMs(machine);
    return late || member.reading.phase === 'Failing';
  });
  if (bad.length === 0) return undefined;
  const texts = bad.map(({ name, reading: { trouble, phase } }) =>
    trouble === undefined ? `${name} is ${phase}` : `${name}: ${trouble.reason}: ${trouble.message}`,
  );
  return { status: 'True', reason: 'MachineFailing', message: texts.slice(0, 5).join('; ') };
}
