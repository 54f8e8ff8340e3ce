import type { ContainerStatus, Pod } from '../api/types.ts';
import { MIGRATION_LABEL, SOURCE_POD_ANNOTATION } from '../launcher/launcher-pod.ts';

/** What the launcher of a machine that another pod has taken over leaves as its termination message. */
const MIGRATED = 'migrated';

export function compute(pod: Pod | undefined): ContainerStatus | undefined {
  return pod?.status?.containerStatuses?.find((container) => container.name === 'compute');
}

/** Its machine goes on in another pod. */
export function hasHandedOver(pod: Pod | undefined): boolean {
  const terminated = compute(pod)?.state?.terminated;
  return terminated?.exitCode === 0 && terminated.message?.trim() === MIGRATED;
}

/** Its compute container has ended, or the pod will never run. */
export function isOver(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return compute(pod)?.state?.terminated !== undefined || phase === 'Succeeded' || phase === 'Failed';
}

/**
 * The pod that an instance's machine is in: the first one, until a pod of a migration has taken the
 * machine over, and so on.
 */
export function activePod(pods: readonly Pod[]): Pod | undefined {
  const targets = pods.filter((pod) => pod.metadata.labels?.[MIGRATION_LABEL] !== undefined);
  let active = pods.find((pod) => !targets.includes(pod));
  // The pods of earlier migrations may have been cleared away by hand.
  active ??= targets.find((pod) => pods.every((other) => other.metadata.name !== sourceOf(pod)));
  for (;;) {
    if (active === undefined || !hasHandedOver(active)) return active;
    const { name } = active.metadata;
    const next = targets.find(
      (pod) => sourceOf(pod) === name && pod.metadata.name !== name && !isFailed(pod),
    );
    if (next === undefined) return active;
    active = next;
  }
}

function sourceOf(pod: Pod): string | undefined {
  return pod.metadata.annotations?.[SOURCE_POD_ANNOTATION];
}

/** A takeover that failed before another one succeeded. */
function isFailed(pod: Pod): boolean {
  return pod.status?.phase === 'Failed';
}
