import { timestamp } from '../api/conditions.ts';
import type { StartFailure, VirtualMachine, VirtualMachineInstance } from '../api/types.ts';
import type { Pauses } from '../pauses.ts';

/**
 * Counts instances that ended before they ran; one that runs clears the count. An instance that
 * somebody deletes while it hangs at a bad image counts too.
 */
export function startFailureOf(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  pauses: Pauses,
  now: Date,
): StartFailure | undefined {
  const previous = vm.status?.startFailure;
  if (vmi === undefined) return previous;
  if (hasRun(vmi)) return undefined;
  const uid = vmi.metadata.uid ?? '';
  const final = vmi.status?.phase === 'Failed' || vmi.status?.phase === 'Succeeded';
  if (!final || previous?.lastFailedVMIUID === uid) return previous;
  const count = (previous?.consecutiveFailCount ?? 0) + 1;
  return {
    consecutiveFailCount: count,
    lastFailedVMIUID: uid,
    retryAfterTimestamp: timestamp(new Date(now.getTime() + pauses.startFailureMs(count))),
  };
}

function hasRun(vmi: VirtualMachineInstance): boolean {
  return vmi.status?.phaseTransitionTimestamps?.some(({ phase }) => phase === 'Running') ?? false;
}

/** Whether the machine still has to wait before it is started again. */
export function isHeldBack(failure: StartFailure | undefined, now: Date): boolean {
  return failure !== undefined && new Date(failure.retryAfterTimestamp) > now;
}
