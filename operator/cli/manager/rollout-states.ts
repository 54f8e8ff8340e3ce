/** As much of a LinuxKitMachine as is counted. */
interface Counted {
  readonly metadata: { readonly deletionTimestamp?: string };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** In one word how far a LinuxKitMachine is on its way to what its spec says, for counting. */
export const ROLLOUT_STATES = ['complete', 'progressing', 'stalled', 'deleting'] as const;
type RolloutState = (typeof ROLLOUT_STATES)[number];

/** How many LinuxKitMachines are in each state; a state without any is 0. */
export function countRolloutStates(machines: readonly Counted[]): Record<RolloutState, number> {
  const counts = Object.fromEntries(ROLLOUT_STATES.map((state) => [state, 0])) as Record<
    RolloutState,
    number
  >;
  for (const machine of machines) counts[stateOf(machine)]++;
  return counts;
}

function stateOf({ metadata, status }: Counted): RolloutState {
  const holds = (type: string): boolean =>
    status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;
  if (metadata.deletionTimestamp !== undefined) return 'deleting';
  if (holds('Stalled')) return 'stalled';
  return holds('Ready') && !holds('Reconciling') ? 'complete' : 'progressing';
}
