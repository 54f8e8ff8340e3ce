/** How long KubeVirt itself takes, beyond what node, guest and API server need. All in milliseconds. */
export interface Pauses {
  /** From an instance's end to its disappearance: the machine shows Stopped meanwhile. */
  readonly releaseMs: number;
  /** For which an instance that ended by itself still counts as ready. */
  readonly staleReadyMs: number;
  /** Before a start after so many that failed one after the other. */
  readonly startFailureMs: (count: number) => number;
}

const LONGEST_START_PAUSE_MS = 300_000;
const START_PAUSE_MS = 13_000;

/** As seen on KubeVirt 1.9: 13 s after the first start that failed and 57 s after the second, growing with the square. */
export const KUBEVIRT_PAUSES: Pauses = {
  releaseMs: 5_000,
  staleReadyMs: 2_000,
  startFailureMs: (count) => Math.min(LONGEST_START_PAUSE_MS, START_PAUSE_MS * count ** 2),
};

/** For tests of others, to which KubeVirt's leisure is nothing but waiting. */
export const NO_PAUSES: Pauses = { releaseMs: 0, staleReadyMs: 0, startFailureMs: () => 0 };

const EVACUATION_PAUSE_MS = 20_000;
const LONGEST_EVACUATION_PAUSE_MS = 300_000;

/** Before a machine that is to leave its node is migrated again, after so many failures: doubling, at most five minutes. */
export function evacuationPauseMs(failures: number): number {
  return Math.min(LONGEST_EVACUATION_PAUSE_MS, EVACUATION_PAUSE_MS * 2 ** (failures - 1));
}

/** For which a migration waits for its target pod to be scheduled and to run. */
export const MIGRATION_PENDING_MS = 300_000;
