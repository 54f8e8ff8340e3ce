import type { Condition } from './types.ts';

/** A time as Kubernetes' `Time` has it: whole seconds. */
export function timestamp(now: Date): string {
  return `${now.toISOString().slice(0, 19)}Z`;
}

export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** Replaces the condition of that type in its place; its transition time moves only when its status does. */
export function withCondition(
  conditions: readonly Condition[],
  next: Omit<Condition, 'lastTransitionTime' | 'lastProbeTime'>,
  now: Date,
): Condition[] {
  const previous = findCondition(conditions, next.type);
  const lastTransitionTime =
    previous?.status === next.status && previous.lastTransitionTime
      ? previous.lastTransitionTime
      : timestamp(now);
  const condition: Condition = { ...next, lastProbeTime: null, lastTransitionTime };
  if (previous === undefined) return [...conditions, condition];
  return conditions.map((each) => (each === previous ? condition : each));
}

export function withoutCondition(conditions: readonly Condition[], type: string): Condition[] {
  return conditions.filter((condition) => condition.type !== type);
}
