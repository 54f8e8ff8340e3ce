import type { BuildReason } from '../../api/image.ts';

/** A build that is wanted and has no Job yet. */
export interface WaitingBuild {
  /** `namespace/name` of its image. */
  readonly key: string;
  readonly namespace: string;
  readonly reason: BuildReason;
  /** Since when it is wanted, milliseconds since the epoch. */
  readonly since: number;
}

/** Builds at once; 0 sets no bound. */
export interface QueueLimits {
  readonly cluster: number;
  readonly namespace: number;
}

/** The queue at one moment. */
export interface QueueView {
  readonly now: number;
  readonly waiting: readonly WaitingBuild[];
  /** Builds that have a Job at work, by namespace. */
  readonly running: ReadonlyMap<string, number>;
  readonly limits: QueueLimits;
}

export const PRIORITIES = ['user', 'operator'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** A build that a person waits for, or one that the operator wants for reasons of its own. */
export function priorityOf(reason: BuildReason): Priority {
  switch (reason) {
    case 'Created':
    case 'SpecChanged':
    case 'ConfigChanged':
    case 'Requested':
      return 'user';
    case 'Refresh':
    case 'EngineChanged':
      return 'operator';
  }
}

/**
 * After so long an operator's build counts as a user's, and for each such time a build is taken for
 * one place nearer in its namespace. So everything comes to be first at last: no stream of younger
 * builds, however wanted, holds a build up for ever.
 */
const AGING_MS = 15 * 60_000;

/**
 * The order in which builds have their turn: users' before the operator's; among these by how many
 * builds of the same namespace run or come before it, so that namespaces take turns; then the oldest.
 */
export function inOrder({ now, waiting, running }: QueueView): readonly WaitingBuild[] {
  const aged = waiting.map((build) => {
    const age = Math.max(0, Math.floor((now - build.since) / AGING_MS));
    return { build, age, rank: priorityOf(build.reason) === 'user' || age > 0 ? 0 : 1 };
  });
  const oldestFirst = aged.toSorted(
    (left, right) => left.rank - right.rank || byAge(left.build, right.build),
  );
  const before = new Map(running);
  return oldestFirst
    .map(({ build, age, rank }) => {
      const ahead = before.get(build.namespace) ?? 0;
      before.set(build.namespace, ahead + 1);
      return { build, rank, round: Math.max(0, ahead - age) };
    })
    .sort(
      (left, right) => left.rank - right.rank || left.round - right.round || byAge(left.build, right.build),
    )
    .map(({ build }) => build);
}

/** The builds that may begin now, by key, the first in turn first. A namespace that is full holds up no other. */
export function admit(view: QueueView): ReadonlySet<string> {
  const { limits, running } = view;
  const counts = new Map(running);
  let total = [...running.values()].reduce((sum, each) => sum + each, 0);
  const admitted = new Set<string>();
  for (const { key, namespace } of inOrder(view)) {
    const count = counts.get(namespace) ?? 0;
    if (!isBelow(total, limits.cluster)) break;
    if (!isBelow(count, limits.namespace)) continue;
    counts.set(namespace, count + 1);
    total++;
    admitted.add(key);
  }
  return admitted;
}

/** What holds up a build that is not admitted. */
export interface Place {
  /** From 1. */
  readonly position: number;
  readonly of: number;
  readonly full: 'cluster' | 'namespace';
  readonly running: number;
}

/** Where `build` stands; undefined if it may begin. It need not be in the view yet. */
export function placeInQueue(view: QueueView, build: WaitingBuild): Place | undefined {
  const others = view.waiting.filter(({ key }) => key !== build.key);
  const whole = { ...view, waiting: [...others, build] };
  if (admit(whole).has(build.key)) return undefined;
  const inNamespace = view.running.get(build.namespace) ?? 0;
  const total = [...view.running.values()].reduce((sum, each) => sum + each, 0);
  const full = isBelow(inNamespace, view.limits.namespace) ? 'cluster' : 'namespace';
  return {
    position: inOrder(whole).findIndex(({ key }) => key === build.key) + 1,
    of: whole.waiting.length,
    full,
    running: full === 'cluster' ? total : inNamespace,
  };
}

/** Waiting builds by priority, zeros included. */
export function queueDepth(waiting: readonly WaitingBuild[]): Record<Priority, number> {
  const depth = { user: 0, operator: 0 };
  for (const { reason } of waiting) depth[priorityOf(reason)]++;
  return depth;
}

/** Seconds that the build which has waited longest has waited; 0 without one. */
export function longestWait({ now, waiting }: Pick<QueueView, 'now' | 'waiting'>): number {
  return Math.max(0, ...waiting.map(({ since }) => now - since)) / 1000;
}

function isBelow(count: number, limit: number): boolean {
  return limit === 0 || count < limit;
}

function byAge(left: WaitingBuild, right: WaitingBuild): number {
  return left.since - right.since || (left.key < right.key ? -1 : left.key > right.key ? 1 : 0);
}
