import { findCondition, READY, STALLED } from '../../api/conditions.ts';
import type { MachineStatus } from '../../api/machine.ts';
import type { MachineReason } from '../../api/reasons.ts';
import type { Tell } from './actions.ts';

/** What became different from one status to the next, as events: one a transition, none while nothing changes. */
export function transitions(before: MachineStatus | undefined, after: MachineStatus): readonly Tell[] {
  const tells: Tell[] = [];
  const was = findCondition(before?.conditions, READY);
  const is = findCondition(after.conditions, READY);
  if (is !== undefined && was?.reason !== is.reason) {
    const reason = is.reason as MachineReason;
    if (findCondition(after.conditions, STALLED) !== undefined) {
      tells.push({ type: 'Warning', reason, action: 'Check', note: is.message });
    } else if (is.status === 'True') {
      const completed = reason === 'UpToDate' ? 'RolloutComplete' : reason;
      tells.push({ type: 'Normal', reason: completed, action: 'Observe', note: is.message });
    } else if (reason === 'ImageNotFound' || reason === 'ImageNotReady') {
      tells.push({ type: 'Normal', reason, action: 'Wait', note: is.message });
    }
  }
  for (const row of after.machines ?? []) {
    const earlier = before?.machines?.find((candidate) => candidate.name === row.name);
    if (row.phase === 'Failing' && earlier?.phase !== 'Failing') {
      const note = `${row.name}: ${row.message ?? 'does not start'}`;
      tells.push({ type: 'Warning', reason: 'MachineFailing', action: 'Observe', note });
    }
  }
  return tells;
}
