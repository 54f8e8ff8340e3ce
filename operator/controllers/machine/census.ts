/** As much of a machine's status as is counted. */
interface Counted {
  readonly status?: {
    readonly machines?: readonly {
      readonly phase?: string;
      readonly updated?: boolean;
      readonly bootedDigest?: string;
    }[];
  };
}

export interface Census {
  /** Virtual machines by phase. */
  readonly states: Readonly<Record<string, number>>;
  /** Virtual machines by whether they run what is wanted. */
  readonly digests: { readonly current: number; readonly outdated: number; readonly unknown: number };
}

/** Counts virtual machines over all LinuxKitMachines, for metrics. */
export function censusOf(machines: readonly Counted[]): Census {
  const states: Record<string, number> = {};
  const digests = { current: 0, outdated: 0, unknown: 0 };
  for (const { phase, updated, bootedDigest } of machines.flatMap(
    (machine) => machine.status?.machines ?? [],
  )) {
    if (phase !== undefined) states[phase] = (states[phase] ?? 0) + 1;
    if (updated === true) digests.current += 1;
    else if (bootedDigest === undefined) digests.unknown += 1;
    else digests.outdated += 1;
  }
  return { states, digests };
}
