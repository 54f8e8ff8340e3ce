import { type Observation, summarise } from '../../api/conditions.ts';
import type { Digest } from '../../api/digest.ts';
import type { LinuxKitMachine, MachineRow, MachineStatus } from '../../api/machine.ts';
import { LABEL_MACHINE } from '../../api/names.ts';
import type { MachineReason } from '../../api/reasons.ts';
import type { RenderProblem } from '../../kubevirt/problems.ts';
import { restartToken } from '../../kubevirt/revision.ts';
import { type Member, ordinalOf, readingOf } from './fleet.ts';
import type { Snapshot, Target, VirtualMachineView } from './snapshot.ts';

/** What a status is made of. */
export interface StatusInput {
  readonly snapshot: Snapshot;
  readonly target: Target;
  readonly problems: readonly RenderProblem[];
  readonly members: readonly Member[];
  readonly surplus: readonly VirtualMachineView[];
  readonly now: Date;
}

/** How a fleet stands: one of these three, with a reason. */
interface Standing {
  readonly kind: 'ready' | 'reconciling' | 'stalled';
  readonly reason: MachineReason;
  readonly message: string;
}

export function statusOf(input: StatusInput): MachineStatus {
  const { snapshot, target, members, surplus, now } = input;
  const { machine } = snapshot;
  const standing = standingOf(input);
  const { kind, reason, message } = standing;
  const ready: Observation = { status: kind === 'ready' ? 'True' : 'False', reason, message };
  const ours = members.filter((member) => member.ownership === 'ours');
  const current = currentDigest(machine, members, target);
  const token = restartToken(machine);
  return {
    observedGeneration: machine.metadata.generation,
    conditions: summarise(
      machine.status?.conditions,
      {
        ready,
        reconciling: kind === 'reconciling' ? { reason, message } : undefined,
        stalled: kind === 'stalled' ? { reason, message } : undefined,
      },
      machine.metadata.generation,
      now,
    ),
    replicas: ours.length + surplus.length,
    readyReplicas: ours.filter((member) => member.reading.ready).length,
    availableReplicas: ours.filter((member) => member.available).length,
    updatedReplicas: ours.filter((member) => member.updated).length,
    selector: `${LABEL_MACHINE}=${machine.metadata.name}`,
    ...(current === undefined ? {} : { currentDigest: current }),
    ...('artifact' in target ? { targetDigest: target.artifact.digest } : {}),
    machines: [...members.map(rowOf), ...surplus.map((vm) => surplusRow(snapshot, vm)).reverse()],
    ...(token === undefined ? {} : { lastHandledRestart: token }),
  };
}

/** The first that applies. Also the message that `kubectl get -o wide` shows. */
function standingOf(input: StatusInput): Standing {
  const { snapshot, target, problems, members, surplus } = input;
  const { machine } = snapshot;
  const count = (holds: (member: Member) => boolean): number => members.filter(holds).length;
  const going = count((member) => member.reading.ready);

  if ('missing' in target) {
    const { reason, message } = target.missing;
    const meanwhile = going === 0 ? '' : `; ${going} of ${members.length} go on with what they have`;
    // An image may be applied together with its machine, or after it. A digest that was once there does not come back.
    return {
      kind: reason === 'DigestNotFound' ? 'stalled' : 'reconciling',
      reason,
      message: message + meanwhile,
    };
  }
  const [problem, ...others] = problems;
  if (problem !== undefined) {
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
    return { kind: 'stalled', reason: problem.reason, message: problem.message + more };
  }
  const foreign = members.filter((member) => member.ownership === 'foreign');
  if (foreign.length > 0) {
    const names = foreign.map((member) => member.name).join(', ');
    return {
      kind: 'stalled',
      reason: 'NameConflict',
      message: `VirtualMachine ${names} exists and is not ours: it is left alone; rename or remove it, or this object`,
    };
  }
  if (surplus.length > 0) {
    return {
      kind: 'reconciling',
      reason: 'ScalingDown',
      message: `${surplus.length} more than ${members.length} are being removed`,
    };
  }
  if (members.length === 0) return { kind: 'ready', reason: 'ScaledToZero', message: 'replicas is 0' };
  if (machine.spec.runStrategy === 'Halted') return haltedStanding(members);

  const resting = count((member) => member.resting);
  const fine = count((member) => member.updated && (member.available || member.resting));
  const digest = target.artifact.digest;
  if (fine === members.length) {
    const rest = resting === 0 ? '' : `, ${resting} stopped by itself or on request`;
    const honest = machine.spec.readinessProbe === undefined ? ' (without a readiness probe: QEMU runs)' : '';
    return {
      kind: 'ready',
      reason: 'UpToDate',
      message: `${going} of ${members.length} run ${digest} and are ready${honest}${rest}`,
    };
  }
  return { kind: 'reconciling', ...unfinished(members, fine, digest) };
}

function haltedStanding(members: readonly Member[]): Standing {
  const stopped = members.filter((member) => member.reading.phase === 'Stopped').length;
  return stopped === members.length
    ? { kind: 'ready', reason: 'Halted', message: `all ${stopped} are stopped, as runStrategy says` }
    : { kind: 'reconciling', reason: 'Provisioning', message: `${stopped} of ${members.length} are stopped` };
}

function unfinished(members: readonly Member[], fine: number, digest: Digest): Omit<Standing, 'kind'> {
  const so = `${fine} of ${members.length} run ${digest} and are ready`;
  const failing = members.find((member) => member.reading.trouble !== undefined && !member.available);
  if (failing?.reading.trouble !== undefined) {
    const { reason, message } = failing.reading.trouble;
    return { reason: 'MachineFailing', message: `${so}; ${failing.name}: ${reason}: ${message}` };
  }
  const outdated = members.filter(
    (member) => member.ownership === 'ours' && !member.updated && member.reading.instance,
  );
  if (outdated.length > 0) {
    return {
      reason: 'RolloutInProgress',
      message: `${so}; ${outdated.length} are still to be restarted into it`,
    };
  }
  const starting = members.filter(
    (member) => !['Running', 'Migrating', 'Paused'].includes(member.reading.phase),
  );
  if (starting.length > 0) {
    const names = starting.map((member) => `${member.name} is ${member.reading.phase}`);
    return { reason: 'Provisioning', message: `${so}; ${names.slice(0, 5).join(', ')}` };
  }
  const waiting = members.filter((member) => !member.available).map((member) => member.name);
  return { reason: 'GuestNotReady', message: `${so}; not ready: ${waiting.slice(0, 5).join(', ')}` };
}

/**
 * The artifact that the machines have been on. It stays while any machine runs it, so that it is known
 * what a rollout comes from; after the last one has left, it is what all of them run.
 */
function currentDigest(
  machine: LinuxKitMachine,
  members: readonly Member[],
  target: Target,
): Digest | undefined {
  const booted = members.flatMap((member) => member.reading.instance?.artifact ?? []);
  const before = machine.status?.currentDigest;
  if (before !== undefined && (booted.length === 0 || booted.includes(before))) return before;
  const wanted = 'artifact' in target ? target.artifact.digest : undefined;
  return booted.find((digest) => digest !== wanted) ?? booted[0];
}

function rowOf(member: Member): MachineRow {
  const { ordinal, name, reading, ownership, updated } = member;
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
  return { name, ordinal, ...readingRow(reading), updated };
}

function surplusRow(snapshot: Snapshot, vm: VirtualMachineView): MachineRow {
  const row = readingRow(readingOf(snapshot, vm));
  return {
    name: vm.metadata.name,
    ordinal: ordinalOf(vm),
    ...row,
    updated: false,
    message: 'is being removed',
  };
}

function readingRow(reading: Member['reading']): Omit<MachineRow, 'name' | 'ordinal' | 'updated'> {
  const { phase, ready, readySince, node, addresses, instance, trouble } = reading;
  return {
    phase,
    ready,
    ...(readySince === undefined ? {} : { readySince }),
    ...(instance?.artifact === undefined ? {} : { bootedDigest: instance.artifact }),
    ...(node === undefined ? {} : { node }),
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(trouble === undefined ? {} : { message: `${trouble.reason}: ${trouble.message}`.slice(0, 1024) }),
  };
}
