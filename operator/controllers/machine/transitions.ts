import { findCondition, isTrue, READY, STALLED } from '../../api/conditions.ts';
import type { MachineRow, MachineStatus } from '../../api/machine.ts';
import type { MachineReason } from '../../api/reasons.ts';
import type { Tell } from './actions.ts';
import type { Course } from './course.ts';

/** What became different from one status to the next, as events: one a transition, none while nothing changes. */
export function transitions(
  before: MachineStatus | undefined,
  after: MachineStatus,
  course: Pick<Course, 'notFound'>,
): readonly Tell[] {
  return [
    ...revisionTells(before, after),
    ...(course.notFound === undefined ? [] : [notFoundTell(course.notFound)]),
    ...readyTells(before, after),
    ...rowTells(before, after),
  ];
}

function revisionTells(before: MachineStatus | undefined, after: MachineStatus): readonly Tell[] {
  const failed = after.failedRevision;
  const back = failed?.rolledBackTo;
  if (failed !== undefined && back !== undefined && back !== before?.failedRevision?.rolledBackTo) {
    const type = failed.reason === 'RollbackRequested' ? 'Normal' : 'Warning';
    const note = `${failed.message}; machines go back to ${back}`;
    return [{ type, reason: 'RolledBack', action: 'Rollback', note }];
  }
  const changed = before?.targetRevision !== undefined && before.targetRevision !== after.targetRevision;
  if (!changed) return [];
  const revision = after.revisions?.find(({ name }) => name === after.targetRevision);
  if (revision === undefined) return [];
  const cause = revision.cause === undefined ? '' : `, for ${revision.cause}`;
  const note = `rolls out revision ${revision.number}, ${revision.name}, artifact ${revision.digest}${cause}`;
  return [{ type: 'Normal', reason: 'RolloutStarted', action: 'Rollout', note }];
}

function notFoundTell(asked: string): Tell {
  const note = `there is no revision ${asked} to go back to; status.revisions lists those that are kept`;
  return { type: 'Warning', reason: 'RevisionNotFound', action: 'Rollback', note };
}

function readyTells(before: MachineStatus | undefined, after: MachineStatus): readonly Tell[] {
  const was = findCondition(before?.conditions, READY);
  const is = findCondition(after.conditions, READY);
  const stalled = isTrue(after.conditions, STALLED);
  const same = was?.reason === is?.reason && was?.status === is?.status;
  if (is === undefined || (same && stalled === isTrue(before?.conditions, STALLED))) return [];
  const reason = is.reason as MachineReason;
  const note = is.message;
  if (stalled) return [{ type: 'Warning', reason, action: 'Check', note }];
  if (is.status === 'True') {
    const arrived = before?.healthyRevision !== after.healthyRevision;
    const told = reason === 'UpToDate' && arrived ? 'RolloutComplete' : reason;
    return [{ type: 'Normal', reason: told, action: 'Observe', note }];
  }
  const waits = ['ImageNotFound', 'ImageNotReady', 'WaitingForSlot', 'Paused'].includes(reason);
  return waits ? [{ type: 'Normal', reason, action: 'Wait', note }] : [];
}

function rowTells(before: MachineStatus | undefined, after: MachineStatus): readonly Tell[] {
  const earlier = new Map(before?.machines?.map((row) => [row.name, row]));
  return (after.machines ?? []).flatMap((row) => {
    const was = earlier.get(row.name);
    return [...detachedTells(was, row), ...troubleTells(was, row)];
  });
}

function detachedTells(was: MachineRow | undefined, { name, detached }: MachineRow): readonly Tell[] {
  if ((was?.detached === true) === (detached === true)) return [];
  return detached === true
    ? [{ type: 'Normal', reason: 'MachineDetached', action: 'Detach', note: `${name} is left alone` }]
    : [
        {
          type: 'Normal',
          reason: 'MachineAttached',
          action: 'Attach',
          note: `${name} is looked after again`,
        },
      ];
}

/** What has happened to a machine without our doing: one that is restarted or removed is Stopping first. */
function troubleTells(was: MachineRow | undefined, row: MachineRow): readonly Tell[] {
  const { name, phase, ready, message } = row;
  if (phase === 'Failing') {
    const note = `${name}: ${message ?? 'does not start'}`;
    return was?.phase === 'Failing'
      ? []
      : [{ type: 'Warning', reason: 'MachineFailing', action: 'Observe', note }];
  }
  if (was?.ready !== true || ready) return [];
  if (phase === 'Running')
    return [
      { type: 'Warning', reason: 'GuestNotReady', action: 'Observe', note: `${name} is not ready any more` },
    ];
  if (phase !== 'Starting') return [];
  return [
    { type: 'Warning', reason: 'GuestEnded', action: 'Observe', note: `${name} has ended, and starts again` },
  ];
}

/** How a rollout ended with this transition, if one did. The first start of a machine is none. */
export function rolloutResult(
  before: MachineStatus | undefined,
  after: MachineStatus,
): 'completed' | 'rolled_back' | 'halted' | undefined {
  const [was, is] = [before?.failedRevision, after.failedRevision];
  if (is?.halted === true && was?.halted !== true) return 'halted';
  if (is?.rolledBackTo !== undefined && is.rolledBackTo !== was?.rolledBackTo) return 'rolled_back';
  const first = before?.healthyRevision === undefined;
  return !first && before.healthyRevision !== after.healthyRevision ? 'completed' : undefined;
}
