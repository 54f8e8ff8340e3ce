import {
  type Findings,
  findCondition,
  type Observation,
  RECONCILING,
  removeCondition,
  rfc3339,
  summarise,
} from '../../api/conditions.ts';
import type { ImageStatus, LastFailure, RunningBuild } from '../../api/image.ts';
import type { ImageReason } from '../../api/reasons.ts';
import { artifactOf, historyWith } from './artifact.ts';
import { reasonForBuild, rebuildRequest } from './build-hash.ts';
import type { Attempt } from './job.ts';
import { currentPod, type JobView } from './job-view.ts';
import type { Failure } from './pod-view.ts';
import type { Place } from './queue.ts';
import { isTerminal, type Verdict } from './rules.ts';
import { currentAttempt, type Snapshot } from './snapshot.ts';

type Because = { readonly reason: ImageReason; readonly message: string };

/** The status that a verdict comes to: a pure function, equal for equal snapshots. */
export function statusOf(snapshot: Snapshot, verdict: Verdict): ImageStatus {
  const { image, now } = snapshot;
  const before = image.status ?? {};
  const artifact = artifactAfter(snapshot, verdict);
  const build = buildAfter(snapshot, verdict);
  const lastFailure = failureAfter(snapshot, verdict);
  const history = historyWith(before, artifact?.digest, image.spec.historyLimit, snapshot.inUse);
  const handled =
    verdict.kind === 'unresolved' || verdict.kind === 'suspended'
      ? before.lastHandledRebuild
      : rebuildRequest(image);
  const lastRefresh =
    verdict.kind === 'adopt' && snapshot.refresh.tick !== '' ? snapshot.refresh.tick : before.lastRefresh;

  // Since when it reconciles is since when this build is wanted, and not held up by others; the retries'
  // waits are measured by it.
  const anew =
    (verdict.kind === 'start' || verdict.kind === 'queued') &&
    (build?.hash !== before.build?.hash || hasTurn(before, verdict)) &&
    before.lastFailure?.buildHash !== build?.hash;
  const conditions = anew ? removeCondition(before.conditions ?? [], RECONCILING) : before.conditions;
  const findings = findingsOf(snapshot, verdict, lastFailure);
  return {
    observedGeneration: image.metadata.generation,
    conditions: summarise(conditions, findings, image.metadata.generation, new Date(now)),
    ...(artifact === undefined ? {} : { artifact }),
    ...(build === undefined ? {} : { build }),
    ...(history.length === 0 ? {} : { history }),
    ...(lastFailure === undefined ? {} : { lastFailure }),
    ...(handled === undefined || handled === '' ? {} : { lastHandledRebuild: handled }),
    ...(lastRefresh === undefined ? {} : { lastRefresh }),
  };
}

function artifactAfter(snapshot: Snapshot, verdict: Verdict): ImageStatus['artifact'] {
  const { image, artifactGone } = snapshot;
  const before = image.status?.artifact;
  if (verdict.kind !== 'adopt') return artifactGone ? undefined : before;
  const { job } = verdict;
  const { record, recordFile } = verdict.stored;
  // The same content again is the same artifact: it was built when it was built, and why.
  const reason = before?.digest === record.digest ? before.reason : job.reason;
  return artifactOf(image.metadata, record, {
    hash: job.hash,
    reason,
    verifiedBy: job.outcome?.verifiedBy,
    recordFile,
    // The hash of the Job covers it, so it is what the Job was asked to do.
    bootImage: image.spec.bootImage,
  });
}

function buildAfter(snapshot: Snapshot, verdict: Verdict): RunningBuild | undefined {
  const attempt = currentAttempt(snapshot);
  switch (verdict.kind) {
    case 'start':
    case 'queued':
      return runningBuild(verdict.attempt, 'Queued');
    case 'clearing':
      if (verdict.attempt !== undefined) return runningBuild(verdict.attempt, 'Queued');
      return attempt === undefined ? undefined : { ...attempt, phase: 'Queued' };
    case 'building':
    case 'storageSilent': {
      const { name, hash, reason, attempt: startTime } = verdict.job;
      return runningBuild({ name, hash, reason, startTime }, phaseOf(verdict.job));
    }
    case 'unresolved':
      return snapshot.image.status?.build;
    case 'adopt':
    case 'current':
    case 'failed':
    case 'foreign':
    case 'suspended':
      return undefined;
  }
}

function runningBuild(attempt: Attempt, phase: NonNullable<RunningBuild['phase']>): RunningBuild {
  const { name, hash, reason, startTime } = attempt;
  return { job: name, hash, reason, startTime, phase };
}

function phaseOf(job: JobView): NonNullable<RunningBuild['phase']> {
  const pod = currentPod(job);
  if (pod === undefined || pod.state === 'failed') return 'Queued';
  return pod.state === 'pending' ? 'Pending' : 'Running';
}

/** The failure of the Job that ended, or of a try of the Job that goes on; kept until a build succeeds. */
function failureAfter(snapshot: Snapshot, verdict: Verdict): LastFailure | undefined {
  const before = snapshot.image.status?.lastFailure;
  if (verdict.kind === 'adopt' || verdict.kind === 'current') return undefined;
  const failure =
    verdict.kind === 'failed'
      ? verdict.failure
      : verdict.kind === 'building'
        ? verdict.job.failure
        : undefined;
  const hash = snapshot.wanted?.hash;
  if (failure === undefined || hash === undefined) return before;
  const time = rfc3339(new Date(failure.at));
  if (before?.buildHash === hash && before.time === time && before.pod === failure.pod) return before;
  return recorded(failure, time, hash, snapshot.logTail);
}

function recorded(
  failure: Failure,
  time: string,
  buildHash: string,
  logTail: string | undefined,
): LastFailure {
  const { step, reason, message, pod, exitCode } = failure;
  return {
    ...(step === undefined ? {} : { step }),
    reason,
    message: message.slice(0, 4096),
    ...(pod === undefined ? {} : { pod }),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(logTail === undefined || logTail === '' ? {} : { logTail }),
    time,
    buildHash,
  };
}

function findingsOf(snapshot: Snapshot, verdict: Verdict, lastFailure: LastFailure | undefined): Findings {
  const progress = (because: Because): Findings => inProgress(snapshot, because, lastFailure);
  switch (verdict.kind) {
    case 'current':
      return { ready: available(snapshot.image.status?.artifact?.digest) };
    case 'adopt':
      return { ready: available(verdict.stored.record.digest) };
    case 'unresolved': {
      const because: Because = {
        reason: 'ConfigNotFound',
        message: `there is no ConfigMap ${snapshot.missingConfigMaps.join(', ')} in the image's namespace; it is waited for`,
      };
      return { reconciling: because, ready: { status: 'False', ...because } };
    }
    case 'foreign': {
      const because: Because = {
        reason: 'NameConflict',
        message: `${verdict.what} ${verdict.name} is not this image's and is left alone; delete it, or give the image another name`,
      };
      return { stalled: because, ready: { status: 'False', ...because } };
    }
    case 'start':
      return progress(refusalOf(snapshot, verdict.attempt) ?? QUEUED);
    case 'queued':
      return progress({ reason: 'BuildQueued', message: placeText(verdict.place) });
    case 'clearing':
      return progress(QUEUED);
    case 'building':
      return progress(progressOf(snapshot, verdict.job));
    case 'storageSilent':
      return progress({
        reason: 'StorageUnavailable',
        message: `the build is done, but its result cannot be read: ${verdict.message}`,
      });
    case 'failed': {
      const { failure, retryAt } = verdict;
      const ready: Observation = { status: 'False', reason: failure.reason, message: told(failure) };
      if (retryAt === undefined)
        return { stalled: { reason: failure.reason, message: told(failure) }, ready };
      const message = `the build failed (${failure.reason}) and is tried again at ${rfc3339(new Date(retryAt))}`;
      return { reconciling: { reason: 'BuildRetrying', message }, ready };
    }
    case 'suspended': {
      const because: Because = { reason: 'Suspended', message: 'spec.suspend is true: no build is started' };
      return {
        ready: isOutdated(snapshot)
          ? { status: 'False', ...because }
          : available(snapshot.image.status?.artifact?.digest),
      };
    }
  }
}

/** Nothing but the making of the Job is missing. */
const QUEUED: Because = { reason: 'BuildQueued', message: 'the build Job is being made' };

/** It waited for others, and now its Job is made. */
export function hasTurn(before: ImageStatus, verdict: Verdict): boolean {
  const said = findCondition(before.conditions, RECONCILING);
  return verdict.kind === 'start' && said?.reason === 'BuildQueued' && said.message !== QUEUED.message;
}

/** Place and limit, as a condition and an event tell it. */
export function placeText({ position, of, full, running }: Place): string {
  const where = full === 'cluster' ? 'in the cluster' : 'in this namespace';
  return `waits for its turn, ${position} of ${of}: ${running} builds ${where} are at work, and no more may be`;
}

/** The API server refused the Job of this very attempt: that stands until it takes it. */
function refusalOf(snapshot: Snapshot, attempt: Attempt): Because | undefined {
  const { build, conditions } = snapshot.image.status ?? {};
  const said = findCondition(conditions, RECONCILING);
  if (snapshot.obstacle !== undefined) return snapshot.obstacle;
  if (build?.startTime !== attempt.startTime || said?.reason !== 'PodRefused') return undefined;
  return { reason: 'PodRefused', message: said.message };
}

function available(digest: string | undefined): Observation {
  return { status: 'True', reason: 'Available', message: `artifact ${digest ?? ''} is stored` };
}

/** Does the artifact lack something that a person asked for? A refresh or a new engine does not make it wrong. */
function isOutdated(snapshot: Snapshot): boolean {
  const built = snapshot.artifactGone ? undefined : snapshot.image.status?.artifact?.buildHash;
  if (built === undefined || snapshot.wanted === undefined) return true;
  if (built === snapshot.wanted.hash) return false;
  const reason = reasonForBuild(built, snapshot.wanted.hash);
  return reason === 'Created' || reason === 'SpecChanged' || reason === 'ConfigChanged';
}

function inProgress(snapshot: Snapshot, because: Because, lastFailure: LastFailure | undefined): Findings {
  const { artifact } = snapshot.image.status ?? {};
  const reconciling = because;
  if (lastFailure !== undefined && lastFailure.buildHash === snapshot.wanted?.hash) {
    // It stays unready, and says why, until a try has done better.
    const { reason, message } = lastFailure;
    return { reconciling, ready: { status: 'False', reason, message } };
  }
  if (!isOutdated(snapshot)) return { reconciling, ready: available(artifact?.digest) };
  // With an artifact in place nothing is known to be wrong: it is only not what is wanted now.
  return {
    reconciling,
    ready: { status: artifact === undefined || snapshot.artifactGone ? 'False' : 'Unknown', ...because },
  };
}

function progressOf(snapshot: Snapshot, job: JobView): Because {
  const pod = currentPod(job);
  const obstacle = pod?.waiting ?? snapshot.obstacle;
  if (obstacle !== undefined && pod?.state !== 'running') return obstacle;
  if (pod === undefined) return { reason: 'BuildQueued', message: `Job ${job.name} has no pod yet` };
  switch (pod.state) {
    case 'pending':
      return { reason: 'Building', message: `pod ${pod.name} is being started` };
    case 'running':
    case 'succeeded':
      return { reason: 'Building', message: `pod ${pod.name} builds` };
    case 'failed':
      return pod.failure !== undefined && isTerminal(pod.failure.reason)
        ? { reason: 'Building', message: `pod ${pod.name} failed for good; Job ${job.name} is ending` }
        : { reason: 'BuildRetrying', message: `pod ${pod.name} failed; Job ${job.name} tries again` };
  }
}

function told(failure: Failure): string {
  const where = failure.step === undefined ? '' : `${failure.step}: `;
  return isTerminal(failure.reason) || failure.pod === undefined
    ? `${where}${failure.message}`
    : `${where}${failure.message} (pod ${failure.pod})`;
}
