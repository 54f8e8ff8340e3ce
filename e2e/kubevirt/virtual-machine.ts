import { withCondition, withoutCondition } from './conditions.ts';
import type { InstanceSpec, VirtualMachine, VirtualMachineInstance, VirtualMachineStatus } from './types.ts';

export const VM_FINALIZER = 'kubevirt.io/virtualMachineControllerFinalize';
export const VMI_FINALIZER = 'foregroundDeleteVirtualMachine';
export const GENERATION_ANNOTATION = 'kubevirt.io/vm-generation';
/** The template an instance was made from: what a later template is compared with. */
export const TEMPLATE_ANNOTATION = 'standin.kubevirt.io/template';

/** Pauses between starts that failed, in seconds; the last one repeats (KubeVirt's bound is 300 s). */
const START_BACKOFF = [10, 50, 250, 300] as const;

export interface VirtualMachineStep {
  readonly createInstance?: VirtualMachineInstance;
  readonly deleteInstance?: boolean;
  readonly finalizers?: string[];
  readonly status?: VirtualMachineStatus;
}

/** What KubeVirt's VM controller does next, given the VM and its instance as they are now. */
export function nextForVirtualMachine(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  now: Date,
): VirtualMachineStep {
  const finalizers = vm.metadata.finalizers ?? [];
  if (vm.metadata.deletionTimestamp !== undefined) {
    if (vmi === undefined) return { finalizers: finalizers.filter((name) => name !== VM_FINALIZER) };
    return { deleteInstance: vmi.metadata.deletionTimestamp === undefined, status: statusOf(vm, vmi, now) };
  }
  const status = statusOf(vm, vmi, now);
  const step: VirtualMachineStep = {
    status,
    ...(finalizers.includes(VM_FINALIZER) ? {} : { finalizers: [...finalizers, VM_FINALIZER] }),
  };
  const strategy = vm.spec.runStrategy ?? (vm.spec.running === true ? 'Always' : 'Halted');
  if (vmi === undefined) {
    const waiting =
      status.startFailure !== undefined && new Date(status.startFailure.retryAfterTimestamp) > now;
    const starts =
      strategy === 'Always' ||
      ((strategy === 'RerunOnFailure' || strategy === 'Once') &&
        vm.status?.observedGeneration === undefined &&
        vm.status?.printableStatus !== 'Stopped');
    if (!starts || waiting) return step;
    if (vm.spec.template.spec.domain.memory?.guest === undefined) {
      return {
        ...step,
        status: {
          ...status,
          conditions: withCondition(
            status.conditions ?? [],
            {
              type: 'Failure',
              status: 'True',
              reason: 'FailedCreate',
              message: 'spec.domain.memory: no memory requested',
            },
            now,
          ),
        },
      };
    }
    return { ...step, createInstance: instanceFor(vm) };
  }
  if (vmi.metadata.deletionTimestamp !== undefined) return step;
  const phase = vmi.status?.phase;
  const final = phase === 'Succeeded' || phase === 'Failed';
  const unwanted =
    strategy === 'Halted' || (final && (strategy === 'Always' || strategy === 'RerunOnFailure'));
  return unwanted ? { ...step, deleteInstance: true } : step;
}

function instanceFor(vm: VirtualMachine): VirtualMachineInstance {
  const { template } = vm.spec;
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      name: vm.metadata.name,
      namespace: vm.metadata.namespace,
      labels: { ...template.metadata?.labels },
      annotations: {
        ...template.metadata?.annotations,
        [GENERATION_ANNOTATION]: String(vm.metadata.generation ?? 0),
        [TEMPLATE_ANNOTATION]: restartRelevant(template.spec),
      },
      finalizers: [VMI_FINALIZER],
      ownerReferences: [
        {
          apiVersion: 'kubevirt.io/v1',
          kind: 'VirtualMachine',
          name: vm.metadata.name,
          uid: vm.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: template.spec,
  };
}

/** The part of a template whose change needs a restart; scheduling fields are taken live. */
function restartRelevant(spec: InstanceSpec): string {
  const { nodeSelector: _nodeSelector, affinity: _affinity, tolerations: _tolerations, ...rest } = spec;
  return JSON.stringify(sortKeys(rest));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, sortKeys(entry)]),
  );
}

function statusOf(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  now: Date,
): VirtualMachineStatus {
  let conditions = vm.status?.conditions ?? [];
  const ready = vmi?.status?.conditions?.find((condition) => condition.type === 'Ready');
  if (vmi === undefined) {
    conditions = withCondition(
      conditions,
      { type: 'Ready', status: 'False', reason: 'VMINotExists', message: 'VMI does not exist' },
      now,
    );
  } else {
    conditions = withoutCondition(conditions, 'Failure');
    conditions = withCondition(
      conditions,
      ready === undefined
        ? { type: 'Ready', status: 'False', reason: 'PodNotExists' }
        : {
            type: 'Ready',
            status: ready.status,
            ...(ready.reason ? { reason: ready.reason } : {}),
            ...(ready.message ? { message: ready.message } : {}),
          },
      now,
    );
  }
  const synchronized = vmi?.status?.conditions?.find((condition) => condition.type === 'Synchronized');
  conditions =
    synchronized === undefined
      ? withoutCondition(conditions, 'Synchronized')
      : withCondition(conditions, synchronized, now);

  const made = vmi?.metadata.annotations?.[TEMPLATE_ANNOTATION];
  const restart =
    made !== undefined &&
    vmi?.metadata.deletionTimestamp === undefined &&
    made !== restartRelevant(vm.spec.template.spec);
  conditions = restart
    ? withCondition(
        conditions,
        {
          type: 'RestartRequired',
          status: 'True',
          message: 'a non-live-updatable field was changed in the template spec',
        },
        now,
      )
    : withoutCondition(conditions, 'RestartRequired');

  const startFailure = startFailureOf(vm, vmi, now);
  const generation = vmi?.metadata.annotations?.[GENERATION_ANNOTATION];
  const isReady = ready?.status === 'True';
  return {
    printableStatus: printableStatus(vm, vmi, startFailure !== undefined),
    // Like KubeVirt: absent rather than false.
    ...(vmi === undefined ? {} : { created: true }),
    ...(isReady ? { ready: true } : {}),
    ...(generation === undefined ? {} : { observedGeneration: Number(generation) }),
    desiredGeneration: vm.metadata.generation ?? 0,
    ...(vm.spec.runStrategy === undefined ? {} : { runStrategy: vm.spec.runStrategy }),
    ...(startFailure === undefined ? {} : { startFailure }),
    conditions,
  };
}

/** Counts starts that ended before QEMU ran; a run clears the count. */
function startFailureOf(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  now: Date,
): VirtualMachineStatus['startFailure'] {
  const previous = vm.status?.startFailure;
  if (vmi === undefined) return previous;
  const ran = vmi.status?.phaseTransitionTimestamps?.some(({ phase }) => phase === 'Running') ?? false;
  if (ran) return undefined;
  const uid = vmi.metadata.uid ?? '';
  if (vmi.status?.phase !== 'Failed' || previous?.lastFailedVMIUID === uid) return previous;
  const count = (previous?.consecutiveFailCount ?? 0) + 1;
  const pause = START_BACKOFF[Math.min(count, START_BACKOFF.length) - 1] ?? 300;
  return {
    consecutiveFailCount: count,
    lastFailedVMIUID: uid,
    retryAfterTimestamp: new Date(now.getTime() + pause * 1000).toISOString(),
  };
}

function printableStatus(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  failing: boolean,
): string {
  if (vm.metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (vmi === undefined) return failing ? 'CrashLoopBackOff' : 'Stopped';
  if (vmi.metadata.deletionTimestamp !== undefined) return 'Stopping';
  const synchronized = vmi.status?.conditions?.find((condition) => condition.type === 'Synchronized');
  if (
    synchronized?.status === 'False' &&
    (synchronized.reason === 'ErrImagePull' || synchronized.reason === 'ImagePullBackOff')
  ) {
    return synchronized.reason;
  }
  const scheduled = vmi.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') return 'ErrorUnschedulable';
  switch (vmi.status?.phase) {
    case 'Running':
      return 'Running';
    case 'Succeeded':
    case 'Failed':
      return failing ? 'CrashLoopBackOff' : 'Stopped';
    default:
      return 'Starting';
  }
}
