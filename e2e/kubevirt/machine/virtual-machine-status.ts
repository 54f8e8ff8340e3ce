import { findCondition, withCondition, withoutCondition } from '../api/conditions.ts';
import type {
  Condition,
  ControllerRevision,
  StateChangeRequest,
  VirtualMachine,
  VirtualMachineInstance,
  VirtualMachineStatus,
} from '../api/types.ts';
import type { Pauses } from '../pauses.ts';
import { printableStatus } from './printable-status.ts';
import { restartRequired } from './restart-required.ts';
import { startedSpec } from './revisions.ts';
import { runStrategyOf } from './run-strategy.ts';
import type { ResolvedSizing } from './sizing-source.ts';
import { startFailureOf } from './start-failure.ts';

export const GENERATION_ANNOTATION = 'kubevirt.io/vm-generation';
/** VM conditions that are not simply the instance's. */
const OWN_CONDITIONS = ['Ready', 'Failure', 'RestartRequired'];

/** A virtual machine and all that KubeVirt's controller looks at beside it. */
export interface VirtualMachineView {
  readonly vm: VirtualMachine;
  readonly vmi: VirtualMachineInstance | undefined;
  /** Of the machine as its instance was made from it. */
  readonly revision: ControllerRevision | undefined;
  /** What instance type and preference say; or what is wrong with them. */
  readonly resolved: ResolvedSizing;
  readonly now: Date;
  readonly pauses: Pauses;
}

/** The machine's status as KubeVirt writes it; `requests` are those that are left. */
export function statusOf(
  view: VirtualMachineView,
  requests: readonly StateChangeRequest[],
): VirtualMachineStatus {
  const { vm, vmi, now, pauses } = view;
  const startFailure = startFailureOf(vm, vmi, pauses, now);
  const generation = vmi?.metadata.annotations?.[GENERATION_ANNOTATION];
  const ready = findCondition(vmi?.status?.conditions, 'Ready')?.status === 'True';
  const { instancetypeRef, preferenceRef } = view.resolved;
  return {
    printableStatus: printableStatus(vm, vmi, startFailure !== undefined),
    // Like KubeVirt: absent rather than false.
    ...(vmi === undefined ? {} : { created: true }),
    ...(ready ? { ready: true } : {}),
    // Of the instance, and not of what was last seen of the machine.
    ...(generation === undefined ? {} : { observedGeneration: Number(generation) }),
    desiredGeneration: vm.metadata.generation ?? 0,
    runStrategy: runStrategyOf(vm),
    ...(startFailure === undefined ? {} : { startFailure }),
    ...(requests.length === 0 ? {} : { stateChangeRequests: [...requests] }),
    ...(instancetypeRef === undefined ? {} : { instancetypeRef }),
    ...(preferenceRef === undefined ? {} : { preferenceRef }),
    conditions: conditionsOf(view),
  };
}

function conditionsOf({ vm, vmi, revision, now }: VirtualMachineView): Condition[] {
  let conditions = withCondition(withoutCondition(vm.status?.conditions ?? [], 'Failure'), readyOf(vmi), now);
  if (vmi !== undefined) {
    const theirs = (vmi.status?.conditions ?? []).filter(({ type }) => !OWN_CONDITIONS.includes(type));
    // Those of an instance that is gone stay until the next one has its own.
    conditions = conditions.filter(
      ({ type }) => OWN_CONDITIONS.includes(type) || theirs.some((condition) => condition.type === type),
    );
    for (const condition of theirs) conditions = withCondition(conditions, condition, now);
  }
  const started = startedSpec(revision);
  const message =
    started === undefined || vmi === undefined || vmi.metadata.deletionTimestamp !== undefined
      ? undefined
      : restartRequired(started, vm.spec);
  return message === undefined
    ? withoutCondition(conditions, 'RestartRequired')
    : withCondition(conditions, { type: 'RestartRequired', status: 'True', message }, now);
}

function readyOf(vmi: VirtualMachineInstance | undefined): Omit<Condition, 'lastTransitionTime'> {
  if (vmi === undefined)
    return { type: 'Ready', status: 'False', reason: 'VMINotExists', message: 'VMI does not exist' };
  const ready = findCondition(vmi.status?.conditions, 'Ready');
  if (ready === undefined)
    return {
      type: 'Ready',
      status: 'False',
      reason: 'VMIConditionMissing',
      message: 'VMI is missing the Ready condition',
    };
  const { type, status, reason, message } = ready;
  return {
    type,
    status,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
}

/** The status of a machine whose instance could not be made. */
export function failedCreation(
  vm: VirtualMachine,
  status: VirtualMachineStatus,
  message: string,
  now: Date,
): VirtualMachineStatus {
  const before = findCondition(vm.status?.conditions, 'Failure');
  const conditions = [...(status.conditions ?? []), ...(before === undefined ? [] : [before])];
  // It counts as started under this strategy only once it is.
  const { runStrategy: _notYet, ...rest } = status;
  const runStrategy = vm.status?.runStrategy;
  return {
    ...rest,
    ...(runStrategy === undefined ? {} : { runStrategy }),
    conditions: withCondition(
      conditions,
      { type: 'Failure', status: 'True', reason: 'FailedCreate', message },
      now,
    ),
  };
}
