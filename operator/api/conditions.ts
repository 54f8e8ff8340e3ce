import * as z from 'zod';
import { type Immutable, timestamp } from './object.ts';
import { listMap } from './rules.ts';

/**
 * Conditions by the Kubernetes conventions (api-conventions.md, "Typical status properties") and
 * kstatus: they are observations, computed anew at every pass, never the state of a machine;
 * each carries the generation it was computed from; `Ready` sums up and is set last;
 * `Reconciling` and `Stalled` are abnormal-true and absent when they would be False.
 */
export const condition = z.object({
  type: z
    .string()
    .max(316)
    .regex(
      /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$/,
    )
    .describe('What the condition is about.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('The generation of the object that this was computed from.'),
  lastTransitionTime: timestamp.describe('When the status last changed.'),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .describe('Why, in one CamelCase word that programs may rely on.'),
  message: z.string().max(32_768).describe('Why, for people.'),
});

export const conditions = z
  .array(condition)
  .max(16)
  .describe('What was last observed, one entry a type.')
  .meta(listMap('type'));

export type Condition = Immutable<z.infer<typeof condition>>;
export type ConditionStatus = Condition['status'];

/** What a controller says of one type; the rest of the condition follows from the one before and the clock. */
export interface Observation {
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
}

/** Longest message kept: well below the schema's limit, enough for a nested error. */
const MESSAGE_LIMIT = 4096;

export function findCondition(list: readonly Condition[] | undefined, type: string): Condition | undefined {
  return list?.find((entry) => entry.type === type);
}

export function isTrue(list: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(list, type)?.status === 'True';
}

/**
 * The list with this condition set. `lastTransitionTime` changes only when the status does;
 * an equal condition leaves the list as it was, the same array.
 */
export function setCondition(
  list: readonly Condition[],
  type: string,
  observation: Observation,
  generation: number,
  now: Date,
): readonly Condition[] {
  const before = findCondition(list, type);
  const message = observation.message.slice(0, MESSAGE_LIMIT);
  if (
    before !== undefined &&
    before.status === observation.status &&
    before.reason === observation.reason &&
    before.message === message &&
    before.observedGeneration === generation
  ) {
    return list;
  }
  const after: Condition = {
    type,
    status: observation.status,
    observedGeneration: generation,
    lastTransitionTime:
      before !== undefined && before.status === observation.status ? before.lastTransitionTime : rfc3339(now),
    reason: observation.reason,
    message,
  };
  return before === undefined ? [...list, after] : list.map((entry) => (entry === before ? after : entry));
}

export function removeCondition(list: readonly Condition[], type: string): readonly Condition[] {
  return list.some((entry) => entry.type === type) ? list.filter((entry) => entry.type !== type) : list;
}

/** What one pass of a controller found. */
export interface Findings {
  /** Set while the object is on its way to what its spec says. */
  readonly reconciling?: { readonly reason: string; readonly message: string } | undefined;
  /** Set when no further try will help before somebody changes something. */
  readonly stalled?: { readonly reason: string; readonly message: string } | undefined;
  /** Conditions of the kind's own; undefined takes a condition away. */
  readonly others?: Readonly<Record<string, Observation | undefined>> | undefined;
  /**
   * What `Ready` says when nothing is stalled. While reconciling, an object may well be ready:
   * the artifact before the failed build is still there and in use.
   */
  readonly ready: Observation;
}

/**
 * The conditions after a pass: the kind's own first, then `Reconciling` and `Stalled`, and `Ready`
 * last. An object that is stalled is not reconciling; kstatus reads them in that order.
 */
export function summarise(
  before: readonly Condition[] | undefined,
  findings: Findings,
  generation: number,
  now: Date,
): readonly Condition[] {
  let list = before ?? [];
  for (const [type, observation] of Object.entries(findings.others ?? {})) {
    list =
      observation === undefined
        ? removeCondition(list, type)
        : setCondition(list, type, observation, generation, now);
  }
  const { stalled, reconciling } = findings;
  list =
    stalled === undefined
      ? removeCondition(list, STALLED)
      : setCondition(list, STALLED, { status: 'True', ...stalled }, generation, now);
  list =
    reconciling === undefined || stalled !== undefined
      ? removeCondition(list, RECONCILING)
      : setCondition(list, RECONCILING, { status: 'True', ...reconciling }, generation, now);
  return setCondition(list, READY, findings.ready, generation, now);
}

/** RFC 3339 in UTC with whole seconds, as Kubernetes writes its own times. */
export function rfc3339(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

export const READY = 'Ready';
export const RECONCILING = 'Reconciling';
export const STALLED = 'Stalled';
export const DEGRADED = 'Degraded';
export const ROLLED_BACK = 'RolledBack';
export const PAUSED = 'Paused';

/** What a condition type means, for documentation and for those who read conditions by program. */
export interface ConditionType {
  readonly type: string;
  /** `positive`: True is good. `negative`: True is bad or unfinished, and it is absent otherwise. */
  readonly polarity: 'positive' | 'negative';
  readonly meaning: string;
}

export const IMAGE_CONDITIONS: readonly ConditionType[] = [
  {
    type: READY,
    polarity: 'positive',
    meaning:
      'The artifact in status was built from the spec of observedGeneration and is stored whole. False while there is none, or when the newest build failed; the artifact before it then stays in place and in use.',
  },
  {
    type: RECONCILING,
    polarity: 'negative',
    meaning: 'The controller is at work: a build waits, runs, or is tried again.',
  },
  {
    type: STALLED,
    polarity: 'negative',
    meaning:
      'The build failed in a way that trying again does not change: somebody has to change the spec or what it names.',
  },
];

export const MACHINE_CONDITIONS: readonly ConditionType[] = [
  {
    type: READY,
    polarity: 'positive',
    meaning:
      'Every virtual machine that spec asks for runs what it is to run by now, and is ready. Without a readiness probe ready means no more than that QEMU runs. What waits by policy (a partition, a window, a command, the next start) does not make it False: updatedReplicas tells of that.',
  },
  {
    type: RECONCILING,
    polarity: 'negative',
    meaning: 'Virtual machines are being made, started, restarted into another digest, or removed.',
  },
  {
    type: STALLED,
    polarity: 'negative',
    meaning: 'Something is in the way that only a person can move; the message says what.',
  },
  {
    type: DEGRADED,
    polarity: 'negative',
    meaning: 'A virtual machine fails to start or has not become ready in time, or a revision has failed.',
  },
  {
    type: ROLLED_BACK,
    polarity: 'negative',
    meaning:
      'What image and spec ask for has failed, or was rolled back by request: machines are to run an earlier revision until image or spec changes.',
  },
  {
    type: PAUSED,
    polarity: 'negative',
    meaning: 'The annotation linuxkit.dev/paused is set: nothing is done to the virtual machines.',
  },
];
