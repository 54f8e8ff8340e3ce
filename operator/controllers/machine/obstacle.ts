import type { MachineReason } from '../../api/reasons.ts';
import { messageOf } from '../../errors.ts';
import { ApiError, isRefused } from '../../runtime/api-error.ts';

/** What was met on the way to what was decided. */
export interface Obstacle {
  readonly kind: 'stalled' | 'reconciling';
  readonly reason: MachineReason;
  readonly message: string;
}

/** What an error says of the machine itself; undefined for one that is about the moment alone. */
export function obstacleIn(error: unknown): Obstacle | undefined {
  if (isRefused(error) || isIllTyped(error))
    return { kind: 'stalled', reason: 'Refused', message: messageOf(error) };
  if (isServerError(error)) return { kind: 'reconciling', reason: 'ApplyFailed', message: messageOf(error) };
  return undefined;
}

function isServerError(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 'ServerError';
}

/**
 * What does not fit the schema of the object that is applied: a refusal in all but its code, for the
 * API server answers 500 where it cannot compare what was applied with a schema.
 */
function isIllTyped(error: unknown): boolean {
  return isServerError(error) && error.message.includes('failed to create typed patch object');
}
