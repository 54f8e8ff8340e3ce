import { withCondition, withoutCondition } from './conditions.ts';
import { launcherPod, SYNC_FAILED_EXIT } from './launcher-pod.ts';
import type { Condition, ContainerStatus, InstanceStatus, Pod, VirtualMachineInstance } from './types.ts';
import { VMI_FINALIZER } from './virtual-machine.ts';

export interface InstanceStep {
  readonly createPod?: Pod;
  readonly deletePod?: { readonly gracePeriodSeconds: number };
  readonly finalizers?: string[];
  readonly status?: InstanceStatus;
}

const DEFAULT_GRACE = 30;

/** What KubeVirt's VMI controller and node agent do next, given the instance and its pod as they are now. */
export function nextForInstance(
  vmi: VirtualMachineInstance,
  pod: Pod | undefined,
  launcherImage: string,
  now: Date,
): InstanceStep {
  const deleting = vmi.metadata.deletionTimestamp !== undefined;
  const started = vmi.status?.phase !== undefined && vmi.status.phase !== '';
  if (pod === undefined) {
    if (deleting || isFinal(vmi.status?.phase))
      return { status: statusOf(vmi, pod, now), finalizers: without(vmi.metadata.finalizers ?? []) };
    // The pod of a started instance vanished: its node lost it. The instance is over.
    if (started && vmi.status?.phase !== 'Pending') return { status: statusOf(vmi, pod, now) };
    return { createPod: launcherPod(vmi, launcherImage), status: statusOf(vmi, pod, now) };
  }
  const gracePeriodSeconds = vmi.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE;
  const step: InstanceStep = { status: statusOf(vmi, pod, now) };
  if (pod.metadata.deletionTimestamp !== undefined) return step;
  const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  if (deleting) return { ...step, deletePod: { gracePeriodSeconds: ended ? 0 : gracePeriodSeconds } };
  return step;
}

function without(finalizers: readonly string[]): string[] {
  return finalizers.filter((name) => name !== VMI_FINALIZER);
}

function isFinal(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

function compute(pod: Pod): ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find((container) => container.name === 'compute');
}

function phaseOf(vmi: VirtualMachineInstance, pod: Pod | undefined): string {
  const previous = vmi.status?.phase;
  if (isFinal(previous) && previous !== undefined) return previous;
  if (pod === undefined) {
    if (previous === undefined || previous === '' || previous === 'Pending')
      return vmi.metadata.deletionTimestamp === undefined ? 'Pending' : 'Succeeded';
    return vmi.metadata.deletionTimestamp === undefined ? 'Failed' : 'Succeeded';
  }
  const container = compute(pod);
  const terminated = container?.state?.terminated;
  if (terminated !== undefined) {
    // Files that QEMU cannot open leave a real instance in Scheduled, with the reason in a condition.
    if (terminated.exitCode === SYNC_FAILED_EXIT && vmi.metadata.deletionTimestamp === undefined)
      return 'Scheduled';
    return terminated.exitCode === 0 ? 'Succeeded' : 'Failed';
  }
  if (pod.status?.phase === 'Failed') return 'Failed';
  if (container?.state?.running !== undefined) return 'Running';
  if (pod.spec.nodeName === undefined) return 'Scheduling';
  return 'Scheduling';
}

function statusOf(vmi: VirtualMachineInstance, pod: Pod | undefined, now: Date): InstanceStatus {
  const phase = phaseOf(vmi, pod);
  const transitions = vmi.status?.phaseTransitionTimestamps ?? [];
  const address = pod?.status?.podIP;
  const nic = vmi.spec.domain.devices.interfaces?.[0]?.name ?? 'default';
  return {
    phase,
    conditions: conditionsOf(vmi, pod, phase, now),
    phaseTransitionTimestamps:
      transitions.at(-1)?.phase === phase
        ? transitions
        : [...transitions, { phase, phaseTransitionTimestamp: now.toISOString() }],
    guestOSInfo: {},
    runtimeUser: 107,
    machine: { type: 'pc-q35-10.0' },
    ...(pod?.spec.nodeName === undefined
      ? {}
      : { nodeName: pod.spec.nodeName, activePods: { [pod.metadata.uid ?? '']: pod.spec.nodeName } }),
    ...(address === undefined || phase !== 'Running'
      ? {}
      : {
          interfaces: [
            {
              name: nic,
              ipAddress: address,
              ipAddresses: [address],
              infoSource: 'domain',
              linkState: 'up',
              podInterfaceName: 'eth0',
              queueCount: 1,
            },
          ],
        }),
  };
}

function conditionsOf(
  vmi: VirtualMachineInstance,
  pod: Pod | undefined,
  phase: string,
  now: Date,
): Condition[] {
  let conditions = vmi.status?.conditions ?? [];
  conditions = withCondition(conditions, readyOf(pod, phase), now);
  const broken = pod === undefined ? undefined : synchronizationFailure(pod);
  conditions =
    broken === undefined
      ? withoutCondition(conditions, 'Synchronized')
      : withCondition(conditions, { type: 'Synchronized', status: 'False', ...broken }, now);
  const scheduled = pod?.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
  conditions =
    scheduled?.status === 'False' && scheduled.reason === 'Unschedulable'
      ? withCondition(
          conditions,
          {
            type: 'PodScheduled',
            status: 'False',
            reason: 'Unschedulable',
            message: scheduled.message ?? '',
          },
          now,
        )
      : withoutCondition(conditions, 'PodScheduled');
  if (phase === 'Running') {
    conditions = withCondition(conditions, { type: 'LiveMigratable', status: 'True' }, now);
    conditions = withCondition(conditions, { type: 'StorageLiveMigratable', status: 'True' }, now);
  }
  return conditions;
}

function readyOf(pod: Pod | undefined, phase: string): Omit<Condition, 'lastTransitionTime'> {
  if (pod === undefined)
    return {
      type: 'Ready',
      status: 'False',
      reason: 'PodNotExists',
      message: 'virt-launcher pod has not yet been scheduled',
    };
  if (pod.metadata.deletionTimestamp !== undefined)
    return {
      type: 'Ready',
      status: 'False',
      reason: 'PodTerminating',
      message: 'virt-launcher pod is terminating',
    };
  if (phase !== 'Running')
    return {
      type: 'Ready',
      status: 'False',
      reason: 'GuestNotRunning',
      message: 'Guest VM is not reported as running',
    };
  const ready = pod.status?.conditions?.find((condition) => condition.type === 'Ready');
  if (ready?.status === 'True') return { type: 'Ready', status: 'True' };
  return {
    type: 'Ready',
    status: 'False',
    reason: ready?.reason ?? 'ContainersNotReady',
    message: ready?.message ?? 'containers with unready status: [compute]',
  };
}

/**
 * The pod troubles that KubeVirt shows on the instance. Only failing pulls and a domain that
 * cannot start are shown: an unparsable reference or a container that cannot be created stays
 * silent there as it does here, and must be read from the pod.
 */
function synchronizationFailure(pod: Pod): { reason: string; message: string } | undefined {
  for (const container of [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ]) {
    const waiting = container.state?.waiting;
    if (waiting?.reason === 'ErrImagePull' || waiting?.reason === 'ImagePullBackOff') {
      return { reason: waiting.reason, message: waiting.message ?? '' };
    }
  }
  const terminated = compute(pod)?.state?.terminated;
  if (terminated?.exitCode === SYNC_FAILED_EXIT) {
    return {
      reason: 'Synchronizing with the Domain failed.',
      message: `server error. command SyncVMI failed: "LibvirtError(Code=1, Domain=10, Message='${terminated.message ?? ''}')"`,
    };
  }
  return undefined;
}
