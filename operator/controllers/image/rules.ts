import { findCondition, RECONCILING, rfc3339 } from '../../api/conditions.ts';
import { type ImageReason, TERMINAL_BUILD_FAILURES } from '../../api/reasons.ts';
import { keyText } from '../../runtime/objects.ts';
import { reasonForBuild } from './build-hash.ts';
import type { Attempt } from './job.ts';
import type { JobView } from './job-view.ts';
import type { Failure } from './pod-view.ts';
import { type Place, placeInQueue } from './queue.ts';
import { currentAttempt, type Snapshot } from './snapshot.ts';
import type { Verified } from './verify-artifact.ts';

/** Where an image stands, and thereby what comes next. */
export type Verdict =
  /** A ConfigMap that the spec names is missing: what is wanted cannot be told. */
  | { readonly kind: 'unresolved' }
  /** The artifact is what the spec wants. */
  | { readonly kind: 'current' }
  /** The name is taken. */
  | { readonly kind: 'foreign'; readonly what: 'Job' | 'ConfigMap'; readonly name: string }
  /** A Job of an earlier attempt must be gone before the next can be made. */
  | { readonly kind: 'clearing'; readonly job: JobView; readonly attempt?: Attempt }
  | { readonly kind: 'building'; readonly job: JobView }
  | { readonly kind: 'adopt'; readonly job: JobView; readonly stored: Verified }
  | { readonly kind: 'storageSilent'; readonly job: JobView; readonly message: string }
  /** Without `retryAt` until somebody changes something. */
  | { readonly kind: 'failed'; readonly failure: Failure; readonly job?: JobView; readonly retryAt?: number }
  | { readonly kind: 'suspended' }
  /** Others come first. */
  | { readonly kind: 'queued'; readonly attempt: Attempt; readonly place: Place }
  | { readonly kind: 'start'; readonly attempt: Attempt };

/** Longest and shortest wait before a build that failed for now is tried again by a new Job. */
const RETRY_MS = { least: 60_000, most: 3_600_000 } as const;

type Wanted = NonNullable<Snapshot['wanted']>;
type Rule = (snapshot: Snapshot, wanted: Wanted) => Verdict | undefined;

/** Asked in this order; the first that has an answer decides. */
const RULES: readonly Rule[] = [
  artifactIsCurrent,
  nameIsTaken,
  jobIsGoing,
  jobIsOfAnotherAttempt,
  jobHasStored,
  jobRuns,
  buildHasFailed,
  buildsAreSuspended,
  attemptWasBegun,
];

export function judge(snapshot: Snapshot): Verdict {
  const verdict = judgeAlone(snapshot);
  const { queue, image } = snapshot;
  if (verdict.kind !== 'start' || queue === undefined) return verdict;
  const { attempt } = verdict;
  const { namespace, name } = image.metadata;
  const since = Date.parse(attempt.startTime) || 0;
  const build = { key: keyText({ namespace, name }), namespace, reason: attempt.reason, since };
  const place = placeInQueue(queue, build);
  return place === undefined ? verdict : { kind: 'queued', attempt, place };
}

/** As if there were no other image. */
function judgeAlone(snapshot: Snapshot): Verdict {
  const { wanted } = snapshot;
  if (wanted === undefined) return { kind: 'unresolved' };
  for (const rule of RULES) {
    const verdict = rule(snapshot, wanted);
    if (verdict !== undefined) return verdict;
  }
  return { kind: 'start', attempt: newAttempt(snapshot, wanted) };
}

function artifactIsCurrent(snapshot: Snapshot, wanted: Wanted): Verdict | undefined {
  const built = snapshot.image.status?.artifact?.buildHash;
  return built === wanted.hash && !snapshot.artifactGone ? { kind: 'current' } : undefined;
}

function nameIsTaken({ taken }: Snapshot, { name }: Wanted): Verdict | undefined {
  return taken === undefined ? undefined : { kind: 'foreign', what: taken, name };
}

function jobIsGoing({ job }: Snapshot): Verdict | undefined {
  return job?.deleting === true ? { kind: 'clearing', job } : undefined;
}

/**
 * A Job is made after the attempt was written to status. One with another attempt's mark is a leftover:
 * its deletion was decided, and whoever decided it ended before doing it.
 */
function jobIsOfAnotherAttempt(snapshot: Snapshot, wanted: Wanted): Verdict | undefined {
  const { job } = snapshot;
  const attempt = currentAttempt(snapshot);
  if (job === undefined) return undefined;
  const other = (attempt !== undefined && job.attempt !== attempt.startTime) || job.hash !== wanted.hash;
  return other ? { kind: 'clearing', job } : undefined;
}

function jobHasStored(snapshot: Snapshot): Verdict | undefined {
  const { job, result } = snapshot;
  if (job?.state !== 'succeeded') return undefined;
  // Whoever deleted the pod deleted the result with it. The inputs are known to the cache: asking again is cheap.
  if (job.pods.length === 0) return { kind: 'clearing', job };
  if (job.outcome === undefined || result?.kind === 'missing' || result?.kind === 'wrong') return undefined;
  if (result?.kind === 'verified') return { kind: 'adopt', job, stored: result };
  return { kind: 'storageSilent', job, message: result?.message ?? 'object storage was not asked' };
}

function jobRuns({ job }: Snapshot): Verdict | undefined {
  return job?.state === 'active' ? { kind: 'building', job } : undefined;
}

/** A failure stands until its time has come, or until somebody touches the spec. */
function buildHasFailed(snapshot: Snapshot, wanted: Wanted): Verdict | undefined {
  const { image, job, now } = snapshot;
  const failure = failureOf(snapshot, wanted);
  if (failure === undefined) return undefined;
  const known = image.status?.lastFailure?.buildHash === wanted.hash && image.status.build === undefined;
  // Nothing that determines the output, or the hash would be another; but it may mend the failure: more memory, say.
  const touched = known && image.status?.observedGeneration !== image.metadata.generation;
  const retryAt = isTerminal(failure.reason) ? undefined : retryTime(snapshot, failure);
  // A failure is put on record before it is acted upon, even one that is found hours later.
  const due = touched || (known && retryAt !== undefined && now >= retryAt);
  const standing = { kind: 'failed', failure, ...(job === undefined ? {} : { job }) } as const;
  if (!due) return retryAt === undefined ? standing : { ...standing, retryAt };
  if (image.spec.suspend) return { kind: 'suspended' };
  const attempt = newAttempt(snapshot, wanted);
  return job === undefined ? { kind: 'start', attempt } : { kind: 'clearing', job, attempt };
}

function buildsAreSuspended({ image }: Snapshot): Verdict | undefined {
  return image.spec.suspend ? { kind: 'suspended' } : undefined;
}

/** Status was written, the Job was not made, or was taken away: carry on with the same attempt. */
function attemptWasBegun(snapshot: Snapshot, wanted: Wanted): Verdict | undefined {
  const attempt = currentAttempt(snapshot);
  if (attempt === undefined) return undefined;
  return { kind: 'start', attempt: { ...wanted, reason: attempt.reason, startTime: attempt.startTime } };
}

function newAttempt(snapshot: Snapshot, wanted: Wanted): Attempt {
  return {
    ...wanted,
    reason: reasonForBuild(
      snapshot.artifactGone ? undefined : snapshot.image.status?.artifact?.buildHash,
      wanted.hash,
    ),
    startTime: rfc3339(new Date(snapshot.now)),
  };
}

/** Of the Job that ended, or as status remembers it when that Job is gone. */
function failureOf(snapshot: Snapshot, wanted: Wanted): Failure | undefined {
  const { job, result, image } = snapshot;
  if (job?.state === 'failed') return job.failure;
  if (job?.state === 'succeeded') return resultFailure(job, result);
  const last = image.status?.lastFailure;
  if (last?.buildHash !== wanted.hash || currentAttempt(snapshot) !== undefined) return undefined;
  const { reason, message, step, pod, exitCode, time } = last;
  return {
    at: Date.parse(time) || 0,
    reason: reason as ImageReason,
    message,
    ...(step === undefined ? {} : { step }),
    ...(pod === undefined ? {} : { pod }),
    ...(exitCode === undefined ? {} : { exitCode }),
  };
}

function resultFailure(job: JobView, result: Snapshot['result']): Failure {
  const pod = job.pods.at(-1)?.name;
  const where = { at: job.finishedAt ?? job.createdAt, ...(pod === undefined ? {} : { pod }) };
  if (job.outcome === undefined) {
    return {
      ...where,
      reason: 'InternalError',
      message: 'the build ended well but did not say what it stored',
    };
  }
  const artifact = `artifact ${job.outcome.digest}`;
  return result?.kind === 'wrong'
    ? {
        ...where,
        step: 'upload',
        reason: 'DigestMismatch',
        message: `${artifact} is not what the build says: ${result.message}`,
      }
    : {
        ...where,
        step: 'upload',
        reason: 'ArtifactMissing',
        message: `${artifact} is not in object storage, though the build says so`,
      };
}

export function isTerminal(reason: ImageReason): boolean {
  return TERMINAL_BUILD_FAILURES.has(reason);
}

/**
 * The wait is as long as it has been going wrong: each one about doubles the time since the build
 * was first wanted, without a counter to keep.
 */
function retryTime(snapshot: Snapshot, failure: Failure): number {
  const since = Date.parse(
    findCondition(snapshot.image.status?.conditions, RECONCILING)?.lastTransitionTime ?? '',
  );
  const trouble = Number.isNaN(since) ? 0 : failure.at - since;
  return failure.at + Math.min(RETRY_MS.most, Math.max(RETRY_MS.least, trouble));
}
