import { findCondition, withCondition, withoutCondition } from '../api/conditions.ts';
import type { Claim, Condition, Pod, VirtualMachineInstance } from '../api/types.ts';
import type { DomainState } from '../launcher/domain.ts';
import { type Migratability, migratability } from './migratability.ts';
import { isFinal } from './phase.ts';

/** Something that keeps an instance from starting, as its condition Synchronized tells it. */
export interface Trouble {
  readonly reason: string;
  readonly message: string;
}

export const SYNC_FAILED = 'Synchronizing with the Domain failed.';

/** What the conditions are made of, beside the instance. */
export interface ConditionsView {
  readonly vmi: VirtualMachineInstance;
  readonly pod: Pod | undefined;
  readonly phase: string;
  readonly domain: DomainState | undefined;
  /** Met before there is a pod. */
  readonly trouble: Trouble | undefined;
  readonly claims: ReadonlyMap<string, Claim>;
  /** The instance ended so short a time ago that its readiness is not looked at again yet. */
  readonly readyIsStale: boolean;
  readonly now: Date;
}

export function instanceConditions(view: ConditionsView): Condition[] {
  const { vmi, pod, phase, domain, now } = view;
  let conditions = vmi.status?.conditions ?? [];
  if (!view.readyIsStale) conditions = withCondition(conditions, readyOf(pod, phase), now);
  const starting = !isFinal(phase) && phase !== 'Running';
  const trouble = view.trouble ?? (starting && pod !== undefined ? troubleOfPod(pod, domain) : undefined);
  conditions =
    trouble === undefined
      ? withoutCondition(conditions, 'Synchronized')
      : withCondition(conditions, { type: 'Synchronized', status: 'False', ...trouble }, now);
  const scheduled = findCondition(pod?.status?.conditions, 'PodScheduled');
  conditions =
    scheduled?.status === 'False'
      ? withCondition(
          conditions,
          {
            type: 'PodScheduled',
            status: 'False',
            reason: scheduled.reason ?? '',
            message: scheduled.message ?? '',
          },
          now,
        )
      : withoutCondition(conditions, 'PodScheduled');
  if (phase !== 'Running') return conditions;
  const { machine, storage } = migratability(vmi, view.claims);
  conditions = withCondition(conditions, migratable('LiveMigratable', machine), now);
  return withCondition(conditions, migratable('StorageLiveMigratable', storage), now);
}

function migratable(type: string, obstacle: Migratability['machine']): Omit<Condition, 'lastTransitionTime'> {
  return obstacle === undefined ? { type, status: 'True' } : { type, status: 'False', ...obstacle };
}

function readyOf(pod: Pod | undefined, phase: string): Omit<Condition, 'lastTransitionTime'> {
  const not = (reason: string, message: string): Omit<Condition, 'lastTransitionTime'> => ({
    type: 'Ready',
    status: 'False',
    reason,
    message,
  });
  if (pod === undefined) return not('PodNotExists', 'virt-launcher pod has not yet been scheduled');
  if (pod.metadata.deletionTimestamp !== undefined)
    return not('PodTerminating', 'virt-launcher pod is terminating');
  if (phase !== 'Running') return not('GuestNotRunning', 'Guest VM is not reported as running');
  const ready = findCondition(pod.status?.conditions, 'Ready');
  if (ready === undefined)
    return not('PodConditionMissing', 'virt-launcher pod is missing the Ready condition');
  if (ready.status === 'True') return { type: 'Ready', status: 'True' };
  return not(
    ready.reason ?? 'ContainersNotReady',
    ready.message ?? 'containers with unready status: [compute]',
  );
}

/**
 * The pod's troubles that KubeVirt shows on the instance. Only failing pulls and a domain that
 * cannot start are shown: an unparsable reference or a container that cannot be created stays
 * silent there as it does here, and must be read from the pod.
 */
function troubleOfPod(pod: Pod, domain: DomainState | undefined): Trouble | undefined {
  for (const container of [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ]) {
    const waiting = container.state?.waiting;
    if (waiting?.reason === 'ErrImagePull' || waiting?.reason === 'ImagePullBackOff')
      return { reason: waiting.reason, message: waiting.message ?? '' };
  }
  return domain?.state === 'failed' ? syncFailure(domain.message ?? '') : undefined;
}

export function syncFailure(message: string): Trouble {
  return {
    reason: SYNC_FAILED,
    message: `server error. command SyncVMI failed: "LibvirtError(Code=1, Domain=10, Message='internal error: process exited while connecting to monitor: ${message}')"`,
  };
}
