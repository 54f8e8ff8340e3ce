import { rfc3339 } from '../../api/conditions.ts';
import { type FailedRevision, updatePolicy } from '../../api/machine.ts';
import { ANNOTATION_REVISION } from '../../api/names.ts';
import type { RenderProblem } from '../../kubevirt/problems.ts';
import { type Requests, requestsOf } from './requests.ts';
import { type Revision, revisionOf, type StoredRevision } from './revision.ts';
import { type Missing, type Snapshot, targetOf } from './snapshot.ts';

/**
 * What the machines are to be moved to. Image and spec say what is desired; what is desired may be
 * unknown, wrong, waiting for a command, or may have failed before, and then it is not the target.
 */
export interface Course {
  /** What image and spec ask for. Undefined while it is not known, or would boot into silence. */
  readonly desired: Revision | undefined;
  /** Why the image does not say what to boot. There may be a `desired` all the same. */
  readonly missing: Missing | undefined;
  readonly problems: readonly RenderProblem[];
  /** What machines are moved to. */
  readonly target: Revision | undefined;
  /** What is known to work: to go back to, and for machines that are made while it is not known of the target. */
  readonly base: StoredRevision | undefined;
  /** With the target all machines were ready once: one that is not now is not the target's doing. */
  readonly proven: boolean;
  /** Set while what is desired has failed. */
  readonly failed: FailedRevision | undefined;
  /** A revision that was asked to go back to, and is not there. */
  readonly notFound: string | undefined;
  readonly requests: Requests;
}

/** The problems that rendering a revision would have. */
export type ProblemsOf = (revision: Revision) => readonly RenderProblem[];

export function courseOf(snapshot: Snapshot, problemsOf: ProblemsOf, now: Date): Course {
  const { machine, revisions } = snapshot;
  const { status } = machine;
  const stored = (name: string | undefined): StoredRevision | undefined =>
    name === undefined ? undefined : revisions.find((revision) => revision.name === name);
  const requests = requestsOf(machine);
  const before = stored(status?.targetRevision);
  const { missing, candidate, problems } = candidateOf(snapshot, before, problemsOf);
  const desired = problems.length > 0 ? undefined : candidate;
  const base = stored(status?.healthyRevision) ?? triedRevision(snapshot, status?.targetRevision);

  const asked = requests.rollback === undefined ? undefined : resolveRevision(snapshot, requests.rollback);
  const failed = failedFor(snapshot, desired, requests, asked, now);
  // A command is needed, or nothing can be taken: then what was decided last still holds.
  const waits = updatePolicy(machine.spec).strategy === 'Manual' && !requests.update;
  const takes = desired !== undefined && !requests.paused && (!waits || asked?.name === desired.name);
  const next = failed === undefined ? (takes ? desired : (before ?? desired)) : undefined;
  const target = next ?? stored(failed?.rolledBackTo) ?? before ?? desired;
  return {
    desired,
    missing,
    problems,
    target,
    base,
    proven: target !== undefined && target.name === status?.healthyRevision,
    failed,
    notFound: asked === undefined ? requests.rollback : undefined,
    requests,
  };
}

/** What image and spec come to, usable or not. */
function candidateOf(
  snapshot: Snapshot,
  before: StoredRevision | undefined,
  problemsOf: ProblemsOf,
): {
  readonly missing: Missing | undefined;
  readonly candidate: Revision | undefined;
  readonly problems: readonly RenderProblem[];
} {
  const { machine } = snapshot;
  const found = targetOf(snapshot);
  if ('artifact' in found) {
    const candidate = revisionOf(machine, found.artifact);
    return { missing: undefined, candidate, problems: problemsOf(candidate) };
  }
  // The image is gone, or has been made anew: its artifact is known from what was booted last.
  const { missing } = found;
  if (missing.reason === 'DigestNotFound' || before?.image !== machine.spec.imageRef.name)
    return { missing, candidate: undefined, problems: [] };
  const candidate = revisionOf(machine, before.artifact);
  return { missing, candidate, problems: problemsOf(candidate) };
}

/**
 * Where none was ever ready as a whole, the one that most ready instances run is known to be
 * better than one that has failed.
 */
function triedRevision(
  { instances, revisions }: Snapshot,
  target: string | undefined,
): StoredRevision | undefined {
  const count = (name: string): number =>
    instances.filter(
      ({ metadata, status }) =>
        metadata.annotations?.[ANNOTATION_REVISION] === name &&
        status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
    ).length;
  return revisions
    .filter(({ name }) => name !== target && count(name) > 0)
    .sort((a, b) => count(b.name) - count(a.name) || b.number - a.number)[0];
}

/** The failure that still holds: of exactly what is desired, unless it is asked to try again. */
function failedFor(
  snapshot: Snapshot,
  desired: Revision | undefined,
  requests: Requests,
  to: StoredRevision | undefined,
  now: Date,
): FailedRevision | undefined {
  const before = snapshot.machine.status?.failedRevision;
  if (desired === undefined) return before;
  if (requests.update) return undefined;
  if (to !== undefined) {
    if (to.name === desired.name) return undefined;
    return {
      name: desired.name,
      digest: desired.artifact.digest,
      reason: 'RollbackRequested',
      message: `asked to go back to revision ${to.number}, ${to.name}, artifact ${to.artifact.digest}`,
      time: rfc3339(now),
      rolledBackTo: to.name,
      halted: false,
    };
  }
  return before?.name === desired.name ? before : undefined;
}

/** `previous`: the last healthy one, or, if that is what is run now, the one taken before that has not failed. */
function resolveRevision(snapshot: Snapshot, text: string): StoredRevision | undefined {
  const { revisions, machine } = snapshot;
  if (text === 'previous') {
    const { targetRevision, healthyRevision, failedRevision } = machine.status ?? {};
    const target = revisions.find(({ name }) => name === targetRevision);
    const healthy = revisions.find(({ name }) => name === healthyRevision);
    if (healthy !== undefined && healthy !== target) return healthy;
    return revisions
      .filter(({ name, number }) => number < (target?.number ?? 0) && name !== failedRevision?.name)
      .sort((a, b) => b.number - a.number)[0];
  }
  return revisions.find(({ name, number }) => name === text || String(number) === text);
}
