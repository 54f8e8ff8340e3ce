import type { Artifact } from '../../api/image.ts';
import type { LinuxKitMachine } from '../../api/machine.ts';
import { metadataConfigMap } from '../../kubevirt/guest-metadata.ts';
import { type RenderProblem, renderProblems } from '../../kubevirt/problems.ts';
import { type RenderOptions, renderVirtualMachine } from '../../kubevirt/render.ts';
import type { InstanceSpec } from '../../kubevirt/types.ts';
import type { Action, Decision, Tell } from './actions.ts';
import { needsApply, withAppliedHash } from './drift.ts';
import { fleetOf, type Member, surplusOf } from './fleet.ts';
import { chooseUpdates } from './rollout.ts';
import { type Snapshot, targetOf, type VirtualMachineView } from './snapshot.ts';
import { statusOf } from './status.ts';
import { transitions } from './transitions.ts';

/**
 * What to do next with the virtual machines of one LinuxKitMachine, as a function of what was gathered
 * and the time. It is called again after every change: each call does what can be done now, and
 * the last one finds nothing left to do.
 *
 *  1. Virtual machines that replicas does not ask for are removed.
 *  2. Missing ones are made, all at once: there is nothing running to be careful about.
 *  3. Those whose template is the wanted one are kept as they should be, whoever changed them.
 *  4. The others are moved to the wanted revision, as many at a time as `chooseUpdates` says. Until its
 *     turn comes a machine is not touched, so that it also starts again with what it had.
 *
 * What is not ours is never touched. While it is not known what to boot, or while that would boot into
 * silence, only 1 is done.
 */
export function decide(snapshot: Snapshot, options: RenderOptions, now: Date): Decision {
  const { machine } = snapshot;
  if (machine.metadata.deletionTimestamp !== undefined) return { actions: [], done: [], observed: [] };
  const target = targetOf(snapshot);
  const artifact = 'artifact' in target ? target.artifact : undefined;
  const problems = artifact === undefined ? [] : renderProblems(machine, artifact, options);
  const members = fleetOf(snapshot, artifact, now);
  const surplus = surplusOf(snapshot);

  const plan = new Plan();
  for (const vm of surplus) removeMachine(plan, vm);
  if (artifact !== undefined && problems.length === 0) bringUp(plan, machine, members, artifact, options);
  collectConfigMaps(plan, snapshot, artifact, problems);

  const status = statusOf({ snapshot, target, problems, members, surplus, now });
  const waits = members.flatMap((member) => member.availableAfterMs ?? []);
  return {
    actions: plan.actions,
    done: plan.done,
    status,
    observed: transitions(machine.status, status),
    ...(waits.length === 0 ? {} : { requeueAfterMs: Math.min(...waits) }),
  };
}

class Plan {
  readonly actions: Action[] = [];
  readonly done: Tell[] = [];

  tell(reason: Tell['reason'], action: string, note: string): void {
    this.done.push({ type: 'Normal', reason, action, note });
  }
}

function removeMachine(plan: Plan, { metadata }: VirtualMachineView): void {
  if (metadata.deletionTimestamp !== undefined) return;
  plan.actions.push({ kind: 'deleteMachine', name: metadata.name, uid: metadata.uid ?? '' });
  plan.tell('MachineDeleted', 'Delete', `removes ${metadata.name}: replicas asks for fewer`);
}

function bringUp(
  plan: Plan,
  machine: LinuxKitMachine,
  members: readonly Member[],
  artifact: Artifact,
  options: RenderOptions,
): void {
  const moving = new Set(chooseUpdates(machine, members));
  for (const member of members) {
    const { vm } = member;
    if (member.ownership === 'absent') {
      applyMachine(plan, machine, member, artifact, options);
      plan.tell('MachineCreated', 'Create', `makes ${member.name} to boot ${artifact.digest}`);
    } else if (member.ownership === 'ours' && vm?.metadata.deletionTimestamp === undefined) {
      if (moving.has(member) || member.staged || member.updated)
        applyMachine(plan, machine, member, artifact, options);
      if (moving.has(member)) restart(plan, machine, member, artifact);
    }
  }
}

/** Applies a virtual machine, and before it the ConfigMap that it names, where that changes anything. */
function applyMachine(
  plan: Plan,
  machine: LinuxKitMachine,
  member: Member,
  artifact: Artifact,
  options: RenderOptions,
): void {
  const rendered = withAppliedHash(renderVirtualMachine(machine, member.ordinal, artifact, options));
  if (member.vm !== undefined && !needsApply(rendered, member.vm)) return;
  const configMap = metadataConfigMap(machine, member.ordinal);
  if (configMap !== undefined) plan.actions.push({ kind: 'createConfigMap', configMap });
  plan.actions.push({ kind: 'applyMachine', vm: rendered, uid: member.vm?.metadata.uid });
}

/**
 * Ends the instance so that the machine starts anew. One that is ending already, or has ended, starts
 * with the new template without our help.
 */
function restart(plan: Plan, machine: LinuxKitMachine, member: Member, artifact: Artifact): void {
  const { instance } = member.reading;
  if (instance === undefined || instance.ending || machine.spec.runStrategy === 'Halted' || member.resting)
    return;
  const { name } = member;
  const kind = machine.spec.runStrategy === 'Always' ? 'deleteInstance' : 'restartInstance';
  plan.actions.push({ kind, name, uid: instance.uid });
  const from =
    instance.artifact === undefined || instance.artifact === artifact.digest
      ? ''
      : ` from ${instance.artifact}`;
  plan.tell('MachineRestarting', 'Restart', `restarts ${name}${from} into ${artifact.digest}`);
}

/** Removes ConfigMaps that nothing refers to any more: no template, no instance, and nothing that is wanted. */
function collectConfigMaps(
  plan: Plan,
  { machine, virtualMachines, instances, configMaps }: Snapshot,
  artifact: Artifact | undefined,
  problems: readonly RenderProblem[],
): void {
  // What is wanted is unknown: then nothing is in the way for sure.
  if (artifact === undefined || problems.length > 0) return;
  const used = new Set<string>();
  const specs: (InstanceSpec | undefined)[] = [
    ...virtualMachines.map((vm) => vm.spec?.template.spec),
    ...instances.map((vmi) => vmi.spec),
  ];
  for (const volume of specs.flatMap((spec) => spec?.volumes ?? [])) {
    if (volume.configMap !== undefined) used.add(volume.configMap.name);
  }
  for (let ordinal = 0; ordinal < machine.spec.replicas; ordinal += 1) {
    const wanted = metadataConfigMap(machine, ordinal);
    if (wanted !== undefined) used.add(wanted.metadata.name);
  }
  for (const { metadata } of configMaps) {
    if (!used.has(metadata.name)) {
      plan.actions.push({ kind: 'deleteConfigMap', name: metadata.name, uid: metadata.uid ?? '' });
    }
  }
}
