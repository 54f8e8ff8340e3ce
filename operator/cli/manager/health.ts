import type { HealthCheck } from '../../runtime/health-server.ts';

/** Seconds. A reconcile ends at its deadline of a minute; one that does not will never end. */
const STUCK_SECONDS = 600;

/** What the first check has to say that is not well. */
export function firstProblem(checks: ReadonlyMap<string, HealthCheck['check']>): string | undefined {
  for (const [name, check] of checks) {
    const problem = check();
    if (problem !== undefined) return `${name}: ${problem}`;
  }
  return undefined;
}

/** Says which controller has a worker that only a restart of the process frees. */
export function stuckWorker(
  controllers: readonly { readonly name: string; readonly queue: { longestWork(): number } }[],
): string | undefined {
  const stuck = controllers.find(({ queue }) => queue.longestWork() > STUCK_SECONDS);
  return stuck === undefined
    ? undefined
    : `a worker of controller ${stuck.name} has been at one object for over ${STUCK_SECONDS} s`;
}
