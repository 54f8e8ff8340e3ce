import type { Pod, VirtualMachineInstance } from '../api/types.ts';
import type { DomainState } from '../launcher/domain.ts';
import { compute, hasHandedOver, isOver } from './pods.ts';

export function isFinal(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/**
 * The phase after this look: at most one step from the one before, so that whoever watches sees each.
 * `pod` is the one that the machine is in, `domain` what its launcher tells.
 */
export function nextPhase(
  vmi: VirtualMachineInstance,
  pod: Pod | undefined,
  domain: DomainState | undefined,
): string {
  const phase = vmi.status?.phase ?? '';
  const deleting = vmi.metadata.deletionTimestamp !== undefined;
  switch (phase) {
    case '':
    case 'Pending':
      if (pod !== undefined) return 'Scheduling';
      return deleting ? 'Failed' : 'Pending';
    case 'Scheduling':
      if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || isOver(pod)) return 'Failed';
      return compute(pod)?.state?.running === undefined ? 'Scheduling' : 'Scheduled';
    case 'Scheduled':
      if (pod === undefined) return 'Failed';
      if (isOver(pod)) return hasPoweredOff(pod) ? 'Running' : 'Failed';
      // Files that QEMU cannot open leave it here for ever, with the reason in a condition.
      return domain?.state === 'running' ? 'Running' : 'Scheduled';
    case 'Running':
      // One whose pod vanished when it was told to end has ended as it was told.
      if (pod === undefined) return deleting ? 'Succeeded' : 'Failed';
      if (!isOver(pod)) return 'Running';
      return hasPoweredOff(pod) ? 'Succeeded' : 'Failed';
    default:
      return phase;
  }
}

/** The guest ended by itself. Power that was taken away, a crash and an eviction end otherwise. */
function hasPoweredOff(pod: Pod): boolean {
  return compute(pod)?.state?.terminated?.exitCode === 0 && !hasHandedOver(pod);
}
