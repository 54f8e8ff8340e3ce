import { findCondition, READY } from '../../api/conditions.ts';
import type { ImageStatus } from '../../api/image.ts';
import { BUILD_REASON_MEANINGS, type ImageReason } from '../../api/reasons.ts';
import type { CacheUse } from '../../build/record.ts';
import { canonicalJson } from './canonical.ts';
import type { Attempt } from './job.ts';
import type { JobView } from './job-view.ts';
import { judge, type Verdict } from './rules.ts';
import type { Snapshot } from './snapshot.ts';
import { hasTurn, placeText, statusOf } from './status.ts';

/** Changes to the cluster besides the status. Each may be done twice, and by two, without harm. */
export type Action =
  | { readonly kind: 'startBuild'; readonly attempt: Attempt }
  /** `cancels`: it was still at work. */
  | { readonly kind: 'deleteJob'; readonly name: string; readonly uid: string; readonly cancels: boolean }
  | { readonly kind: 'deleteRequest'; readonly name: string; readonly uid: string };

export interface ImageEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: ImageReason;
  readonly action: 'Build' | 'Cancel' | 'Delete';
  readonly note: string;
}

/** Figures of a build that ended. */
export interface BuildMeasure {
  readonly result: 'succeeded' | 'failed' | 'cancelled';
  readonly reason: string;
  readonly arch: string;
  /** Seconds by phase: queue, the engine's steps, total. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly bytesPulled: number;
  readonly bytesStored: number;
  readonly cache: CacheUse;
}

export interface Decision {
  readonly verdict: Verdict['kind'];
  readonly status: ImageStatus;
  readonly statusChanged: boolean;
  readonly actions: readonly Action[];
  /** Told once the status is written. */
  readonly events: readonly ImageEvent[];
  readonly measures: readonly BuildMeasure[];
  /** When to look again if nothing happens before, in ms. */
  readonly requeueAfterMs?: number;
}

export interface DecisionSettings {
  /** How long a Job that ended is kept, for its log. */
  readonly jobTtlMs: number;
}

/** A pod that does not start is looked at this often: what stops it is told in events, which nobody watches. */
const OBSTACLE_MS = 5_000;
const STORAGE_MS = 10_000;
/** A build that waits is called when its turn comes; its place is told anew at times, rarely far back. */
const QUEUE_MS = { first: 10_000, each: 1000, most: 300_000 } as const;
/** Jobs of others are not watched. */
const TAKEN_MS = 30_000;

/** What to do about an image: a pure function of its snapshot. */
export function decide(snapshot: Snapshot, settings: DecisionSettings): Decision {
  const verdict = judge(snapshot);
  const status = statusOf(snapshot, verdict);
  const actions = actionsOf(snapshot, verdict, settings);
  const waits = waitsOf(snapshot, verdict, settings).filter((ms) => Number.isFinite(ms));
  return {
    verdict: verdict.kind,
    status,
    statusChanged: canonicalJson(status) !== canonicalJson(snapshot.image.status),
    actions,
    events: eventsOf(snapshot, verdict, status),
    measures: measuresOf(snapshot, verdict),
    ...(waits.length === 0 ? {} : { requeueAfterMs: Math.max(0, Math.min(...waits)) }),
  };
}

function actionsOf(snapshot: Snapshot, verdict: Verdict, settings: DecisionSettings): readonly Action[] {
  const actions: Action[] = [];
  if (verdict.kind === 'clearing' && !verdict.job.deleting) actions.push(deletionOf(verdict.job));
  for (const job of unwantedJobs(snapshot)) actions.push(deletionOf(job));
  for (const job of finishedJobs(snapshot, verdict)) {
    if (snapshot.now >= expiry(job, settings)) actions.push(deletionOf(job));
  }
  const kept = new Set([snapshot.job, ...snapshot.otherJobs].flatMap((job) => job?.name ?? []));
  if (snapshot.wanted !== undefined) kept.add(snapshot.wanted.name);
  for (const { name, uid } of snapshot.requests) {
    if (!kept.has(name)) actions.push({ kind: 'deleteRequest', name, uid });
  }
  if (verdict.kind === 'start') actions.push({ kind: 'startBuild', attempt: verdict.attempt });
  return actions;
}

function deletionOf({ name, uid, state }: JobView): Action {
  return { kind: 'deleteJob', name, uid, cancels: state === 'active' };
}

/** Jobs that build what is wanted no more. While it is not known what is wanted, none is. */
function unwantedJobs({ otherJobs, wanted }: Snapshot): readonly JobView[] {
  return wanted === undefined ? [] : otherJobs.filter((job) => job.state === 'active' && !job.deleting);
}

function finishedJobs({ job, otherJobs }: Snapshot, verdict: Verdict): readonly JobView[] {
  const done = otherJobs.filter(({ state, deleting }) => state !== 'active' && !deleting);
  const settled = verdict.kind === 'current' || verdict.kind === 'failed';
  return settled && job?.ours === true && !job.deleting && job.state !== 'active' ? [...done, job] : done;
}

function expiry(job: JobView, { jobTtlMs }: DecisionSettings): number {
  return (job.finishedAt ?? job.createdAt) + jobTtlMs;
}

function waitsOf(snapshot: Snapshot, verdict: Verdict, settings: DecisionSettings): readonly number[] {
  const { now, refresh } = snapshot;
  const waits = finishedJobs(snapshot, verdict).map((job) => expiry(job, settings) - now);
  if (refresh.nextAt !== undefined) waits.push(refresh.nextAt - now);
  if (verdict.kind === 'failed' && verdict.retryAt !== undefined) waits.push(verdict.retryAt - now);
  if (verdict.kind === 'storageSilent') waits.push(STORAGE_MS);
  if (verdict.kind === 'queued')
    waits.push(Math.min(QUEUE_MS.most, QUEUE_MS.first + QUEUE_MS.each * verdict.place.position));
  if (verdict.kind === 'foreign') waits.push(TAKEN_MS);
  if (verdict.kind === 'building' && verdict.job.pods.every(({ state }) => state !== 'running'))
    waits.push(OBSTACLE_MS);
  return waits;
}

function eventsOf(snapshot: Snapshot, verdict: Verdict, status: ImageStatus): readonly ImageEvent[] {
  const before = snapshot.image.status ?? {};
  const events: ImageEvent[] = [];
  if (snapshot.artifactGone && before.artifact !== undefined) {
    events.push({
      type: 'Warning',
      reason: 'ArtifactMissing',
      action: 'Build',
      note: `artifact ${before.artifact.digest} is gone from object storage and is built again`,
    });
  }
  const isNew = status.build !== undefined && status.build.startTime !== before.build?.startTime;
  if (verdict.kind === 'queued') {
    const note = placeText(verdict.place);
    if (isNew) events.push({ type: 'Normal', reason: 'BuildQueued', action: 'Build', note });
  } else if (status.build !== undefined && (isNew || hasTurn(before, verdict))) {
    const { job, reason } = status.build;
    const why = `${reason}: ${BUILD_REASON_MEANINGS[reason]}`;
    events.push({
      type: 'Normal',
      reason: 'Building',
      action: 'Build',
      note: `Job ${job} builds the image. ${why}`,
    });
  }
  if (status.lastFailure !== undefined && status.lastFailure !== before.lastFailure) {
    const { reason, message, step, pod } = status.lastFailure;
    const where = [step, pod === undefined ? undefined : `pod ${pod}`]
      .filter((part) => part !== undefined)
      .join(', ');
    const note = `the build failed${where === '' ? '' : ` (${where})`}: ${message}`;
    events.push({ type: 'Warning', reason: reason as ImageReason, action: 'Build', note });
  }
  if (verdict.kind === 'adopt') events.push(successOf(verdict, snapshot));
  const summary = changedSummary(before, status);
  if (summary !== undefined) events.push(summary);
  return events;
}

function successOf(verdict: Verdict & { readonly kind: 'adopt' }, { image }: Snapshot): ImageEvent {
  const { job } = verdict;
  const { record } = verdict.stored;
  const before = image.status?.artifact?.digest;
  const repository = image.spec.bootImage?.repository;
  const reason = job.outcome?.reused === true ? 'BuildReused' : 'BuildSucceeded';
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const { kernel, 'initrd.img': initrd } = record.files;
  const note =
    before === record.digest
      ? `nothing has changed: the artifact is still ${record.digest}`
      : `stored ${record.digest}: kernel ${mib(kernel.size)}, initrd ${mib(initrd.size)}`;
  const pushed = repository === undefined ? '' : `; its boot image is in ${repository}`;
  return { type: 'Normal', reason, action: 'Build', note: `${note}${pushed}` };
}

/** Told, and counted, by whoever really ended the Job: of two that try, one. */
export function cancelledEvent(job: string): ImageEvent {
  return {
    type: 'Normal',
    reason: 'BuildCancelled',
    action: 'Cancel',
    note: `Job ${job} is ended: what it builds is not wanted any more`,
  };
}

/** Reasons that are told when they become the image's state; the others have events of their own. */
const TOLD_WHEN_ENTERED: ReadonlySet<string> = new Set<ImageReason>([
  'ConfigNotFound',
  'NameConflict',
  'Suspended',
  'StorageUnavailable',
  'BuilderImagePullFailed',
  'PodRefused',
  'PodUnschedulable',
]);

function changedSummary(before: ImageStatus, after: ImageStatus): ImageEvent | undefined {
  const [was, is] = [stateOf(before), stateOf(after)];
  if (is === undefined || was?.reason === is.reason || !TOLD_WHEN_ENTERED.has(is.reason)) return undefined;
  const type = is.reason === 'Suspended' ? 'Normal' : 'Warning';
  return { type, reason: is.reason as ImageReason, action: 'Build', note: is.message };
}

function stateOf({
  conditions,
}: ImageStatus): { readonly reason: string; readonly message: string } | undefined {
  const [reconciling, stalled] = [
    findCondition(conditions, 'Reconciling'),
    findCondition(conditions, 'Stalled'),
  ];
  return stalled ?? reconciling ?? findCondition(conditions, READY);
}

function measuresOf(snapshot: Snapshot, verdict: Verdict): readonly BuildMeasure[] {
  const arch = snapshot.image.spec.architecture;
  const unused: CacheUse = { hits: 0, misses: 0, bytes: 0 };
  const nothing = { seconds: {}, bytesPulled: 0, bytesStored: 0, cache: unused };
  const measures: BuildMeasure[] = [];
  if (verdict.kind === 'adopt') {
    const { job } = verdict;
    measures.push({
      result: 'succeeded',
      reason: job.reason,
      arch,
      seconds: { ...job.outcome?.seconds, ...spansOf(job) },
      bytesPulled: job.outcome?.bytesPulled ?? 0,
      bytesStored: job.outcome?.bytesStored ?? 0,
      cache: job.outcome?.cache ?? unused,
    });
  }
  // Counted when it becomes known, which is when the running build leaves the status.
  if (verdict.kind === 'failed' && verdict.job !== undefined && snapshot.image.status?.build !== undefined) {
    measures.push({
      ...nothing,
      result: 'failed',
      reason: verdict.failure.reason,
      arch,
      seconds: spansOf(verdict.job),
    });
  }
  return measures;
}

function spansOf(job: JobView): Record<string, number> {
  const started = job.pods.find(({ startedAt }) => startedAt !== undefined)?.startedAt;
  return {
    ...(started === undefined ? {} : { queue: Math.max(0, (started - job.createdAt) / 1000) }),
    ...(job.finishedAt === undefined ? {} : { total: Math.max(0, (job.finishedAt - job.createdAt) / 1000) }),
  };
}
