import { OciError } from '../errors.ts';

/**
 * Does something that must be over within so many milliseconds. Cancelling from outside ends it with
 * the caller's reason, the deadline with `RegistryUnreachable`.
 */
export async function withDeadline<T>(
  caller: AbortSignal,
  milliseconds: number,
  where: string,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(milliseconds);
  try {
    return await act(AbortSignal.any([caller, deadline]));
  } catch (error) {
    if (caller.aborted || !deadline.aborted || error !== deadline.reason) throw error;
    throw new OciError('RegistryUnreachable', `${where}: no complete answer within ${milliseconds / 1000} s`);
  }
}
