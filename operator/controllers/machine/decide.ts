import { type LinuxKitMachine, updatePolicy } from '../../api/machine.ts';
import { metadataConfigMap } from '../../kubevirt/guest-metadata.ts';
import { type RenderProblem, renderProblems } from '../../kubevirt/problems.ts';
import { type RenderOptions, renderVirtualMachine } from '../../kubevirt/render.ts';
import { type BootRevision, restartToken } from '../../kubevirt/revision.ts';
import type { Boot, Decision } from './actions.ts';
import { missingClaims, retainClaims } from './claims.ts';
import { collectConfigMaps } from './config-maps.ts';
import { type Course, courseOf } from './course.ts';
import { needsApply, wasApplied, withAppliedHash } from './drift.ts';
import { deadlineMs, failureOf, pendingSince } from './failure.ts';
import { fleetOf, type Member, surplusOf } from './fleet.ts';
import { historyOf } from './history.ts';
import { Plan } from './plan.ts';
import { isDetached } from './requests.ts';
import { machineAt, type Revision } from './revision.ts';
import { type Bounds, chooseMoves, isDown, type Moves, makeWithTarget } from './rollout.ts';
import type { Transit } from './slots.ts';
import type { Snapshot, VirtualMachineView } from './snapshot.ts';
import { statusOf } from './status.ts';
import { transitions } from './transitions.ts';
import { type WindowState, windowAt, windowProblem } from './window.ts';

/** A revision, with the restart after which an instance of it is started. */
type Taken = Revision & BootRevision;

/** A machine without a window. */
const ALWAYS_OPEN: WindowState = { open: true, changesAt: undefined };

/**
 * What to do next with the virtual machines of one LinuxKitMachine, as a function of what was gathered
 * and the time. It is called again after every change: each call does what can be done now, and
 * the last one finds nothing left to do.
 *
 *  1. Virtual machines that replicas does not ask for are removed.
 *  2. Missing ones are made, all at once: there is nothing running to be careful about.
 *  3. Those of the wanted revision are kept as they should be, whoever changed them.
 *  4. The others are moved to it, as many at a time as `chooseMoves` says. Until its turn comes a
 *     machine is kept as its own revision has it, so that it also starts again with what it had.
 *
 * What is not ours, is detached, or belongs to a paused machine is never touched. That a rollout has failed
 * is written down before anything follows from it: then it is not forgotten with the process.
 */
export function decide(snapshot: Snapshot, options: RenderOptions, now: Date): Decision {
  const { machine } = snapshot;
  const course = courseOf(snapshot, (revision) => problemsOf(snapshot, revision, options), now);
  const members = fleetOf(snapshot, course, now);
  const failure = failureOf(machine, course, members, now);
  if (failure !== undefined) return afterFailure(snapshot, { ...course, ...failure, proven: false }, now);

  const window = windowOf(machine, now);
  const surplus = surplusOf(snapshot);
  const history = historyOf(snapshot, course);
  const bounds: Bounds = {
    proven: course.proven,
    goingBack: course.failed !== undefined,
    windowOpen: window.open,
    slots: snapshot.slots,
  };
  const moves = chooseMoves(machine, members, slotsFor(bounds, members));
  const plan = new Plan();
  if (!course.requests.paused) {
    for (const vm of surplus) removeMachine(plan, vm);
    plan.add(...history.actions);
    bringUp(plan, snapshot, members, moves, course, options);
    for (const action of retainClaims(snapshot)) {
      plan.add(action);
      if (action.kind === 'deleteClaim')
        plan.tell('ClaimDeleted', 'Delete', `deletes the claim ${action.name}: its machine is gone for good`);
    }
    plan.add(...collectConfigMaps(snapshot, course));
  }
  const { revisions } = course.requests.paused ? { revisions: snapshot.revisions } : history;
  const status = statusOf({ snapshot, course, members, surplus, revisions, moves, window, now });
  const waits = [
    ...members.flatMap((member) => member.availableAfterMs ?? []),
    ...(moves.waitsFor === 'window' && window.changesAt !== undefined
      ? [Math.max(0, window.changesAt - now.getTime())]
      : []),
    ...[deadlineMs(machine, course, members, now) ?? []].flat(),
  ];
  return {
    actions: plan.actions,
    done: plan.done,
    status,
    observed: transitions(machine.status, status, course),
    transits: transitsOf(machine, course, members, moves, now),
    boots: bootsOf(members),
    waitsForSlot: moves.waitsFor === 'slot',
    ...(waits.length === 0 ? {} : { requeueAfterMs: Math.min(...waits) }),
  };
}

/** Only the status: what it says leads the next pass. */
function afterFailure(snapshot: Snapshot, course: Course, now: Date): Decision {
  const { machine, revisions } = snapshot;
  const members = fleetOf(snapshot, course, now);
  const none: Moves = { restart: [], stage: [], waitsFor: undefined };
  const surplus = surplusOf(snapshot);
  const window = windowOf(machine, now);
  const status = statusOf({ snapshot, course, members, surplus, revisions, moves: none, window, now });
  return {
    actions: [],
    done: [],
    status,
    observed: transitions(machine.status, status, course),
    transits: transitsOf(machine, course, members, none, now),
    boots: bootsOf(members),
    waitsForSlot: false,
  };
}

function problemsOf(
  { machine, instanceMemory }: Snapshot,
  revision: Revision,
  options: RenderOptions,
): readonly RenderProblem[] {
  const { maintenanceWindow } = updatePolicy(machine.spec);
  const problem = maintenanceWindow === undefined ? undefined : windowProblem(maintenanceWindow);
  const message = `spec.update.maintenanceWindow.${problem}`;
  return [
    ...renderProblems(machineAt(machine, revision), revision.artifact, options, instanceMemory),
    ...(problem === undefined ? [] : [{ reason: 'InvalidMachine', message } as const]),
  ];
}

function windowOf(machine: LinuxKitMachine, now: Date): WindowState {
  const { maintenanceWindow } = updatePolicy(machine.spec);
  return maintenanceWindow === undefined ? ALWAYS_OPEN : windowAt(maintenanceWindow, now.getTime());
}

function removeMachine(plan: Plan, vm: VirtualMachineView): void {
  const { metadata } = vm;
  if (metadata.deletionTimestamp !== undefined || isDetached(vm)) return;
  plan.add({ kind: 'deleteMachine', name: metadata.name, uid: metadata.uid ?? '' });
  plan.tell('MachineDeleted', 'Delete', `removes ${metadata.name}: replicas asks for fewer`);
}

function bringUp(
  plan: Plan,
  snapshot: Snapshot,
  members: readonly Member[],
  moves: Moves,
  course: Course,
  options: RenderOptions,
): void {
  const { machine } = snapshot;
  const withTarget = makeWithTarget(machine, members, moves, course);
  const asked = restartToken(machine);
  const at = (revision: Revision | undefined): Taken | undefined =>
    revision === undefined ? undefined : { ...revision, restart: asked };
  for (const member of members) {
    const { vm, detached, goal, own } = member;
    if (member.ownership === 'absent') {
      const revision = withTarget.has(member) ? course.target : (course.base ?? course.target);
      if (revision === undefined) continue;
      applyMachine(plan, snapshot, member, { ...revision, restart: asked }, options);
      plan.tell('MachineCreated', 'Create', `makes ${member.name} to boot ${revision.artifact.digest}`);
    } else if (member.ownership === 'ours' && !detached && vm?.metadata.deletionTimestamp === undefined) {
      const taken =
        moves.restart.includes(member) || moves.stage.includes(member) || member.staged || member.updated;
      const revision = taken ? at(goal) : own;
      if (revision !== undefined) applyMachine(plan, snapshot, member, revision, options);
      if (moves.restart.includes(member) && goal !== undefined) restart(plan, machine, member, goal, course);
    }
  }
}

/** Applies a virtual machine, and before it what it names, where that changes anything. */
function applyMachine(
  plan: Plan,
  snapshot: Snapshot,
  { ordinal, vm }: Member,
  revision: Taken,
  options: RenderOptions,
): void {
  const machine = machineAt(snapshot.machine, revision);
  for (const claim of missingClaims(snapshot, machine, ordinal)) {
    plan.add({ kind: 'createClaim', claim });
    plan.tell('ClaimCreated', 'Create', `makes the claim ${claim.metadata.name}`);
  }
  const rendered = withAppliedHash(renderVirtualMachine(machine, ordinal, revision, options));
  if (vm !== undefined && !needsApply(rendered, vm)) return;
  const configMap = metadataConfigMap(machine, ordinal);
  if (configMap !== undefined) plan.add({ kind: 'createConfigMap', configMap });
  plan.add({ kind: 'applyMachine', vm: rendered, uid: vm?.metadata.uid });
  if (vm !== undefined && wasApplied(rendered, vm))
    plan.tell('MachineRestored', 'Restore', `takes back what somebody changed on ${vm.metadata.name}`);
}

/**
 * Ends the instance so that the machine starts anew. One that is ending already, or has ended, starts
 * with the new template without our help.
 */
function restart(plan: Plan, machine: LinuxKitMachine, member: Member, goal: Revision, course: Course): void {
  const { instance } = member.reading;
  if (instance === undefined || instance.ending || machine.spec.runStrategy === 'Halted' || member.resting)
    return;
  const { name } = member;
  const kind = machine.spec.runStrategy === 'Always' ? 'deleteInstance' : 'restartInstance';
  const moves = instance.revision !== goal.name;
  const why = !moves ? 'Requested' : course.failed === undefined ? 'Rollout' : 'Rollback';
  plan.add({ kind, name, uid: instance.uid, why });
  const { digest } = goal.artifact;
  const from =
    instance.artifact === undefined || instance.artifact === digest ? '' : ` from ${instance.artifact}`;
  plan.tell('MachineRestarting', 'Restart', `restarts ${name}${from} into ${digest}`);
}

/** What other machines leave of the slots, less what our own take. */
function slotsFor(bounds: Bounds, members: readonly Member[]): Bounds {
  const own = members.filter((member) => isInTransit(member));
  const { cluster, namespace, node } = bounds.slots;
  return {
    ...bounds,
    slots: {
      cluster: cluster - own.length,
      namespace: namespace - own.length,
      node: (name) => node(name) - own.filter((member) => member.reading.node === name).length,
    },
  };
}

/** Taken down, or being started: whatever for, it loads its node. */
function isInTransit(member: Member): boolean {
  const { instance } = member.reading;
  return member.ownership === 'ours' && isDown(member) && (member.pending || instance?.ending !== false);
}

function transitsOf(
  machine: LinuxKitMachine,
  course: Course,
  members: readonly Member[],
  moves: Moves,
  now: Date,
): readonly Transit[] {
  const { namespace } = machine.metadata;
  return members
    .filter((member) => isInTransit(member) || moves.restart.includes(member))
    .map((member) => ({
      namespace,
      node: member.reading.node,
      since: (pendingSince(machine, course, member, now) ?? now).getTime(),
    }));
}

function bootsOf(members: readonly Member[]): readonly Boot[] {
  return members.flatMap(({ name, reading: { instance, readySince } }) =>
    instance === undefined ? [] : { name, instance: instance.uid, created: instance.created, readySince },
  );
}
