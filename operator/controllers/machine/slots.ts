/** How many machines may be on their way up at once by our doing, over all LinuxKitMachines. 0: no bound. */
export interface RestartLimits {
  readonly cluster: number;
  readonly namespace: number;
  readonly node: number;
}

export const NO_LIMITS: RestartLimits = { cluster: 0, namespace: 0, node: 0 };

/** A machine that was taken down, or is being started, and does not serve yet. */
export interface Transit {
  readonly namespace: string;
  /** The node that it is on, or was on. */
  readonly node?: string | undefined;
  /** Milliseconds since the Unix epoch. */
  readonly since: number;
}

/**
 * One that has not come up by then does not hold up the others any longer: what it stands for is a
 * failure of its own, not load.
 */
export const TRANSIT_LIMIT_MS = 10 * 60_000;

/** What is left of the limits. */
export interface Slots {
  readonly cluster: number;
  readonly namespace: number;
  readonly node: (name: string | undefined) => number;
}

export const FREE_SLOTS: Slots = { cluster: Infinity, namespace: Infinity, node: () => Infinity };

/** What the limits leave to a machine of this namespace, given what is on its way up. */
export function slotsLeft(
  limits: RestartLimits,
  transits: readonly Transit[],
  namespace: string,
  now: number,
): Slots {
  const present = transits.filter(({ since }) => now - since < TRANSIT_LIMIT_MS);
  const left = (limit: number, taken: readonly Transit[]): number =>
    limit === 0 ? Infinity : Math.max(0, limit - taken.length);
  return {
    cluster: left(limits.cluster, present),
    namespace: left(
      limits.namespace,
      present.filter((transit) => transit.namespace === namespace),
    ),
    node: (name) =>
      name === undefined
        ? Infinity
        : left(
            limits.node,
            present.filter((transit) => transit.node === name),
          ),
  };
}

/** As many of the candidates as the slots hold, in their order; those whose node is full are passed over. */
export function takeSlots<T extends { readonly node: string | undefined }>(
  candidates: readonly T[],
  slots: Slots,
): readonly T[] {
  const taken: T[] = [];
  const onNode = new Map<string | undefined, number>();
  for (const candidate of candidates) {
    if (taken.length >= Math.min(slots.cluster, slots.namespace)) break;
    const there = onNode.get(candidate.node) ?? 0;
    if (there >= slots.node(candidate.node)) continue;
    onNode.set(candidate.node, there + 1);
    taken.push(candidate);
  }
  return taken;
}
