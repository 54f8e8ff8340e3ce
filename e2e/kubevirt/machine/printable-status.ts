import { findCondition } from '../api/conditions.ts';
import type { VirtualMachine, VirtualMachineInstance } from '../api/types.ts';
import { runStrategyOf } from './run-strategy.ts';

/** KubeVirt's one-word summary, in its order of precedence. */
export function printableStatus(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  startFails: boolean,
): string {
  if (vm.metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (vmi === undefined) return stopped(vm, startFails);
  const phase = vmi.status?.phase;
  // An instance that has ended is Stopped, and no more Stopping, while it is cleared away.
  if (phase === 'Succeeded' || phase === 'Failed') return stopped(vm, startFails);
  if (vmi.metadata.deletionTimestamp !== undefined) return 'Stopping';
  if (isMigrating(vmi)) return 'Migrating';
  if (phase === 'Running')
    return findCondition(vmi.status?.conditions, 'Paused')?.status === 'True' ? 'Paused' : 'Running';
  const synchronized = findCondition(vmi.status?.conditions, 'Synchronized');
  const scheduled = findCondition(vmi.status?.conditions, 'PodScheduled');
  const reason = synchronized?.status === 'False' ? synchronized.reason : undefined;
  if (reason === 'FailedPvcNotFound') return 'ErrorPvcNotFound';
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') return 'ErrorUnschedulable';
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff') return reason;
  return 'Starting';
}

function stopped(vm: VirtualMachine, startFails: boolean): string {
  return startFails && ['Always', 'RerunOnFailure'].includes(runStrategyOf(vm))
    ? 'CrashLoopBackOff'
    : 'Stopped';
}

function isMigrating(vmi: VirtualMachineInstance): boolean {
  const state = vmi.status?.migrationState;
  return state?.startTimestamp !== undefined && state.endTimestamp === undefined;
}
