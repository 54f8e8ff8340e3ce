import type { ImageReason } from '../../api/reasons.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import type { KubeObject } from '../../runtime/objects.ts';
import { resource } from '../../runtime/resources.ts';
import { currentPod, type JobView } from './job-view.ts';

/** A core/v1 Event, as far as it is read here. */
interface CoreEvent extends KubeObject {
  readonly reason?: string;
  readonly message?: string;
  readonly type?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly series?: { readonly lastObservedTime?: string } | null;
}

const CORE_EVENTS = resource<CoreEvent>({ group: '', version: 'v1', plural: 'events', kind: 'Event' });

/** Sooner than this nothing is wrong with a pod that does not run. */
const PATIENCE_MS = 5_000;

/** The uid of what to ask about when a build does not get going: its pod, or the Job that has none. */
export function stuckObject(job: JobView | undefined, now: number): string | undefined {
  if (job === undefined || job.state !== 'active' || job.deleting) return undefined;
  const pod = currentPod(job);
  if (pod === undefined) return now - job.createdAt > PATIENCE_MS ? job.uid : undefined;
  const waits = pod.state === 'pending' && pod.waiting === undefined && now - pod.createdAt > PATIENCE_MS;
  return waits ? pod.uid : undefined;
}

/** What the newest warning about an object says is in the way. */
export async function findObstacle(
  client: ApiClient,
  namespace: string,
  uid: string,
  options: { readonly signal: AbortSignal },
): Promise<{ readonly reason: ImageReason; readonly message: string } | undefined> {
  const { items } = await client.list(CORE_EVENTS, {
    ...options,
    namespace,
    fieldSelector: `involvedObject.uid=${uid},type=Warning`,
    timeoutMs: 10_000,
  });
  return obstacleOf(items);
}

export function obstacleOf(
  events: readonly CoreEvent[],
): { readonly reason: ImageReason; readonly message: string } | undefined {
  const [newest] = [...events].sort((left, right) => timeOf(right) - timeOf(left));
  if (newest === undefined) return undefined;
  const message = newest.message ?? newest.reason ?? '';
  switch (newest.reason) {
    case 'FailedMount':
    case 'FailedAttachVolume':
      return {
        reason: isAbsence(message) ? 'ConfigNotFound' : 'PodRefused',
        message: withoutPrefix(message),
      };
    case 'FailedScheduling':
      return { reason: 'PodUnschedulable', message };
    case 'FailedCreate':
      return { reason: 'PodRefused', message };
    default:
      return undefined;
  }
}

/** What the kubelet says of a ConfigMap, a Secret, or a key of one, that it does not find. */
function isAbsence(message: string): boolean {
  return /not found|references non-existent/.test(message);
}

/** The kubelet begins with the mount's own name for the volume, which says nothing to anybody. */
function withoutPrefix(message: string): string {
  return message.replace(/^MountVolume\.SetUp failed for volume "[^"]*" : /, '');
}

function timeOf(event: CoreEvent): number {
  const text = event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? '';
  return Date.parse(text) || 0;
}
