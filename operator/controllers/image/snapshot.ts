import type { LinuxKitImage, RunningBuild } from '../../api/image.ts';
import type { ImageReason } from '../../api/reasons.ts';
import type { JobView } from './job-view.ts';
import type { QueueView } from './queue.ts';
import type { RefreshTick } from './refresh.ts';
import type { StoredResult } from './verify-artifact.ts';

/** Everything a decision about an image is made from, gathered at one moment. */
export interface Snapshot {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly image: LinuxKitImage;
  /** What the spec wants built; undefined while a ConfigMap that it names is missing. */
  readonly wanted: { readonly hash: string; readonly name: string } | undefined;
  readonly missingConfigMaps: readonly string[];
  readonly refresh: RefreshTick;
  /** The Job under the wanted name, whoever made it. */
  readonly job: JobView | undefined;
  /** The image's other Jobs. */
  readonly otherJobs: readonly JobView[];
  /** Something of the wanted name is there and belongs to somebody else. */
  readonly taken: 'Job' | 'ConfigMap' | undefined;
  /** Request ConfigMaps of the image. */
  readonly requests: readonly { readonly name: string; readonly uid: string }[];
  /** What storage has of what the Job says it stored. */
  readonly result: StoredResult | undefined;
  /** Storage was asked and has no record of `status.artifact`. */
  readonly artifactGone: boolean;
  /** What Kubernetes says in events of a pod that does not start, or does not even exist. */
  readonly obstacle: { readonly reason: ImageReason; readonly message: string } | undefined;
  /** The end of the log of the pod that failed last. */
  readonly logTail: string | undefined;
  /** Machines of the namespace by the digests they hold. */
  readonly inUse: ReadonlyMap<string, readonly string[]>;
  /** What runs and waits in the whole cluster; without it, a build begins when it is wanted. */
  readonly queue?: QueueView;
}

/** The build that status says is under way, if it is the wanted one. */
export function currentAttempt(snapshot: Snapshot): RunningBuild | undefined {
  const build = snapshot.image.status?.build;
  return build?.hash === snapshot.wanted?.hash ? build : undefined;
}
