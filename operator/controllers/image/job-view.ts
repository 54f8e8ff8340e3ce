import { BUILD_REASONS, type BuildReason } from '../../api/image.ts';
import type { BuildOutcome } from '../../build/record.ts';
import { controllerOf, type Stored } from '../../runtime/objects.ts';
import type { Job, Pod } from '../../runtime/resources.ts';
import { ANNOTATION_ATTEMPT, ANNOTATION_HASH, ANNOTATION_REASON } from './objects.ts';
import { type Failure, type PodView, viewPod } from './pod-view.ts';

/** A build Job and its pods, as far as decisions need them. */
export interface JobView {
  readonly name: string;
  readonly uid: string;
  /** False for a Job of this name that belongs to somebody else, or to an image that is no more. */
  readonly ours: boolean;
  readonly hash: string;
  readonly reason: BuildReason;
  /** `status.build.startTime` of the attempt it was made for. */
  readonly attempt: string;
  readonly deleting: boolean;
  readonly state: 'active' | 'succeeded' | 'failed';
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly finishedAt?: number;
  /** Oldest first. */
  readonly pods: readonly PodView[];
  /** Of the pod that succeeded. */
  readonly outcome?: BuildOutcome & { readonly result: 'succeeded' };
  /** Of the last pod that failed, or of the Job itself. Also while the Job goes on trying. */
  readonly failure?: Failure;
}

/** A pure function of a Job, its pods, and the uid of the image that it should belong to. */
export function viewJob(job: Stored<Job>, pods: readonly Stored<Pod>[], imageUid: string): JobView {
  const views = pods.map(viewPod).sort((left, right) => left.createdAt - right.createdAt);
  const ended = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  const state = ended === undefined ? 'active' : ended.type === 'Complete' ? 'succeeded' : 'failed';
  const outcome = views.map((pod) => pod.outcome).findLast((one) => one?.result === 'succeeded');
  const { annotations = {}, uid, name, deletionTimestamp, creationTimestamp } = job.metadata;
  const finishedAt = Date.parse(ended?.lastTransitionTime ?? '');
  const failure = failureOf(state, ended, finishedAt || 0, views);
  return {
    name,
    uid,
    ours: controllerOf(job)?.uid === imageUid,
    hash: annotations[ANNOTATION_HASH] ?? '',
    reason: BUILD_REASONS.find((reason) => reason === annotations[ANNOTATION_REASON]) ?? 'Created',
    attempt: annotations[ANNOTATION_ATTEMPT] ?? '',
    deleting: deletionTimestamp !== undefined,
    state,
    createdAt: Date.parse(creationTimestamp ?? '') || 0,
    ...(Number.isNaN(finishedAt) ? {} : { finishedAt }),
    pods: views,
    ...(outcome?.result === 'succeeded' ? { outcome } : {}),
    ...(failure === undefined ? {} : { failure }),
  };
}

function failureOf(
  state: JobView['state'],
  ended: { readonly reason?: string; readonly message?: string } | undefined,
  at: number,
  pods: readonly PodView[],
): Failure | undefined {
  const last = pods.map((pod) => pod.failure).findLast((one) => one !== undefined);
  if (last !== undefined || state !== 'failed') return last;
  // A pod that was deleted in the middle leaves nothing but the Job's own words.
  return {
    at,
    reason: ended?.reason === 'DeadlineExceeded' ? 'DeadlineExceeded' : 'PodLost',
    message: `the build Job failed and left no pod: ${ended?.message ?? ended?.reason ?? 'no reason given'}`,
  };
}

/** The pod that works, or the last one there was. */
export function currentPod(job: JobView): PodView | undefined {
  return job.pods.findLast(({ state }) => state === 'running' || state === 'pending') ?? job.pods.at(-1);
}
