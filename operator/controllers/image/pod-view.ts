import type { ImageReason } from '../../api/reasons.ts';
import type { BuildOutcome, BuildStep } from '../../build/record.ts';
import type { Pod } from '../../runtime/resources.ts';
import { parseOutcome } from './outcome.ts';

/** Why one try failed; `schedule` is the step of a pod that never ran. */
export interface Failure {
  readonly step?: BuildStep | 'schedule';
  readonly reason: ImageReason;
  readonly message: string;
  /** Milliseconds since the epoch, whole seconds. */
  readonly at: number;
  readonly pod?: string;
  readonly exitCode?: number;
}

/** What a build pod is doing, read out of its status. */
export interface PodView {
  readonly name: string;
  readonly uid: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** When the build container began to run. */
  readonly startedAt?: number;
  readonly state: 'pending' | 'running' | 'succeeded' | 'failed';
  /** What a pending pod waits for, if Kubernetes says so. */
  readonly waiting?: { readonly reason: ImageReason; readonly message: string };
  readonly outcome?: BuildOutcome;
  readonly failure?: Failure;
}

const PULL_PROBLEMS: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
]);
const START_PROBLEMS: ReadonlySet<string> = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
]);
const SIGKILL = 137;

/** A pure function of the pod's status, believing nothing of what the build wrote there. */
export function viewPod(pod: Pod): PodView {
  const { status } = pod;
  const container = status?.containerStatuses?.find(({ name }) => name === 'build');
  const terminated = container?.state?.terminated ?? undefined;
  const startedAt = Date.parse(container?.state?.running?.startedAt ?? terminated?.startedAt ?? '');
  const outcome = parseOutcome(terminated?.message);
  const base = {
    name: pod.metadata.name,
    uid: pod.metadata.uid ?? '',
    createdAt: Date.parse(pod.metadata.creationTimestamp ?? '') || 0,
    ...(Number.isNaN(startedAt) ? {} : { startedAt }),
    ...(outcome === undefined ? {} : { outcome }),
  };
  switch (status?.phase) {
    case 'Succeeded':
      return { ...base, state: 'succeeded' };
    case 'Failed':
      return { ...base, state: 'failed', failure: failureOf(pod, outcome) };
    case 'Running':
      return { ...base, state: 'running' };
    default: {
      const waiting = waitingOf(pod);
      return { ...base, state: 'pending', ...(waiting === undefined ? {} : { waiting }) };
    }
  }
}

/** The kubelet's verdict goes before the build's own: it is what ended the build. */
function failureOf(pod: Pod, outcome: BuildOutcome | undefined): Failure {
  const { status, metadata } = pod;
  const terminated = status?.containerStatuses?.find(({ name }) => name === 'build')?.state?.terminated;
  const exitCode = terminated?.exitCode;
  const at =
    Date.parse(
      terminated?.finishedAt ?? disruption(pod)?.lastTransitionTime ?? metadata.creationTimestamp ?? '',
    ) || 0;
  const where = { at, pod: metadata.name, ...(exitCode === undefined ? {} : { exitCode }) };
  const said = status?.message ?? '';
  if (status?.reason === 'DeadlineExceeded') {
    return {
      ...where,
      reason: 'DeadlineExceeded',
      message: 'the build took longer than spec.build.timeout allows one try',
    };
  }
  if (status?.reason === 'Evicted' || disruption(pod) !== undefined) {
    return {
      ...where,
      reason: 'Evicted',
      message: `the build pod was evicted: ${said || disruption(pod)?.message || 'no reason given'}`,
    };
  }
  if (terminated?.reason === 'OOMKilled') {
    return {
      ...where,
      reason: 'OutOfMemory',
      message: 'the build pod used more memory than it may; raise spec.build.resources.limits.memory',
    };
  }
  if (outcome?.result === 'failed') return { ...where, ...outcome.failure };
  if (terminated === undefined || terminated === null) {
    const reason = status?.reason ?? '';
    // NodeLost, NodeShutdown, Terminated and whatever comes: nothing ran to its end.
    return {
      ...where,
      reason: reason.startsWith('Unexpected') || reason.startsWith('Out') ? 'PodRefused' : 'PodLost',
      message: `the build pod ended without a result: ${[reason, said].filter((text) => text !== '').join(': ') || 'no reason given'}`,
    };
  }
  const how = exitCode === SIGKILL ? 'was killed' : `ended with exit code ${exitCode}`;
  return {
    ...where,
    reason: 'InternalError',
    message: `the build ${how} without saying why${terminated.reason === undefined ? '' : ` (${terminated.reason})`}; see its log`,
  };
}

/** Preemption, drains and taints leave this condition on the pod (Kubernetes, "Pod disruption conditions"). */
function disruption(pod: Pod) {
  return pod.status?.conditions?.find(({ type, status }) => type === 'DisruptionTarget' && status === 'True');
}

function waitingOf(pod: Pod): PodView['waiting'] {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    return { reason: 'PodUnschedulable', message: scheduled.message ?? 'no node takes the build pod' };
  }
  const waiting = pod.status?.containerStatuses?.find(({ name }) => name === 'build')?.state?.waiting;
  const reason = waiting?.reason ?? '';
  const message = waiting?.message ?? reason;
  if (PULL_PROBLEMS.has(reason)) {
    return {
      reason: 'BuilderImagePullFailed',
      message: `the node cannot pull the operator's image: ${message}`,
    };
  }
  if (START_PROBLEMS.has(reason))
    return { reason: 'PodRefused', message: `the build container does not start: ${message}` };
  return undefined;
}
