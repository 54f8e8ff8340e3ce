import type { ImageStatus } from '../../api/image.ts';
import type { MachineStatus } from '../../api/machine.ts';
import { readyOf } from './objects.ts';

/** How far something that was asked for by annotation has come. */
export type Progress =
  | { readonly state: 'asked' | 'working' | 'done'; readonly text: string }
  | { readonly state: 'failed'; readonly text: string };

/** Of a rebuild: `token` is the annotation's value. A build that waits for its next try is not at its end. */
export function rebuildProgress(status: ImageStatus | undefined, token: string): Progress {
  if (status?.lastHandledRebuild !== token) return { state: 'asked', text: 'waiting for the operator' };
  const { build, artifact } = status;
  if (build !== undefined) {
    const phase = (build.phase ?? 'Queued').toLowerCase();
    return { state: 'working', text: `Job ${build.job} is ${phase}` };
  }
  const ended = endedText(status);
  if (ended.state === 'done' && artifact !== undefined)
    return { state: 'done', text: `the artifact is ${artifact.digest}` };
  return ended;
}

/** Of a rollback: `token` is the annotation's value. */
export function rollbackProgress(status: MachineStatus | undefined, token: string): Progress {
  if (status?.lastHandledRollback !== token) return { state: 'asked', text: 'waiting for the operator' };
  const ended = endedText(status);
  return ended.state === 'done'
    ? { state: 'done', text: `runs revision ${status.targetRevision ?? '-'}` }
    : ended;
}

/** By kstatus: Reconciling while something goes on, Stalled when nothing will come of it. */
function endedText(status: ImageStatus | MachineStatus): Progress {
  const holds = (type: string) =>
    status.conditions?.find((condition) => condition.type === type && condition.status === 'True');
  const ready = readyOf(status);
  const text = `${ready?.reason ?? 'Unknown'}: ${ready?.message ?? 'there is no condition yet'}`;
  if (holds('Stalled') !== undefined) return { state: 'failed', text };
  if (holds('Reconciling') !== undefined || ready?.status !== 'True') return { state: 'working', text };
  return { state: 'done', text };
}
