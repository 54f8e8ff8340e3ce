import type { Digest } from '../api/digest.ts';
import { isDigest } from '../api/digest.ts';
import type { MachinePhase } from '../api/machine.ts';
import { ANNOTATION_ARTIFACT, ANNOTATION_RESTART, ANNOTATION_REVISION } from '../api/names.ts';
import { digestOf } from './reference.ts';
import type {
  ContainerStatus,
  KubeVirtCondition,
  LauncherPod,
  VirtualMachine,
  VirtualMachineInstance,
} from './types.ts';

/** What is true of one virtual machine, as far as its objects tell. */
export interface InstanceReading {
  readonly phase: Exclude<MachinePhase, 'Foreign'>;
  /** By the readiness probe; without one, no more than that QEMU runs. */
  readonly ready: boolean;
  /** RFC 3339; since when it is ready. */
  readonly readySince?: string;
  /** The instance that there is, also while it ends. */
  readonly instance?: {
    readonly uid: string;
    /** The annotation it was started with; absent on one that we did not render. */
    readonly revision?: string;
    /** The request to restart that it was started for, or after. */
    readonly restart?: string;
    /** RFC 3339; when KubeVirt made it. */
    readonly created?: string;
    /** The boot image it was started with: the part of the reference after the `@`. */
    readonly bootImage?: Digest;
    readonly artifact?: Digest;
    readonly ending: boolean;
    /** On its way to another node, or about to be: its node is being drained. */
    readonly migrating: boolean;
  };
  readonly node?: string;
  readonly addresses: readonly string[];
  /** What keeps it from starting, or from going on. */
  readonly trouble?: { readonly reason: string; readonly message: string };
}

/** On the pod that a guest is migrated into: the uid of the migration. */
const MIGRATION_LABEL = 'kubevirt.io/migrationJobUID';

/** Longest text that is passed on; messages of the container runtime can be pages long. */
const MESSAGE_LIMIT = 1024;

/**
 * Reads a virtual machine from its VirtualMachine, its VirtualMachineInstance and the pods of that.
 *
 * KubeVirt's own summary is not enough: `printableStatus` says Starting for ever where only a condition,
 * or only the pod, knows why; `ready` of the VM outlives the instance by seconds; and
 * `observedGeneration` tells what the running instance was made from, not what was seen.
 */
export function readInstance(
  vm: VirtualMachine | undefined,
  vmi: VirtualMachineInstance | undefined,
  pods: readonly LauncherPod[],
): InstanceReading {
  if (vm === undefined && vmi === undefined) return { phase: 'Missing', ready: false, addresses: [] };
  const trouble = troubleOf(vm, vmi, pods);
  const withTrouble = trouble === undefined ? {} : { trouble };
  if (vmi === undefined) {
    return {
      phase: phaseWithoutInstance(vm, trouble !== undefined),
      ready: false,
      addresses: [],
      ...withTrouble,
    };
  }
  const ready = condition(vmi.status?.conditions, 'Ready');
  const isReady =
    ready?.status === 'True' &&
    vmi.status?.phase === 'Running' &&
    vmi.metadata.deletionTimestamp === undefined;
  const since = ready?.lastTransitionTime;
  const { nodeName } = vmi.status ?? {};
  return {
    phase: phaseOf(vm, vmi, trouble !== undefined),
    ready: isReady,
    ...(isReady && typeof since === 'string' ? { readySince: since } : {}),
    instance: identityOf(vmi, pods),
    ...(nodeName === undefined || nodeName === '' ? {} : { node: nodeName }),
    addresses: addressesOf(vmi),
    ...withTrouble,
  };
}

function identityOf(
  vmi: VirtualMachineInstance,
  pods: readonly LauncherPod[],
): NonNullable<InstanceReading['instance']> {
  const { annotations, uid, deletionTimestamp, creationTimestamp } = vmi.metadata;
  const restart = annotations?.[ANNOTATION_RESTART];
  const revision = annotations?.[ANNOTATION_REVISION];
  const artifact = annotations?.[ANNOTATION_ARTIFACT];
  const bootImage = digestOf(vmi.spec.domain.firmware?.kernelBoot?.container?.image);
  return {
    uid: uid ?? '',
    ...(revision === undefined ? {} : { revision }),
    ...(restart === undefined ? {} : { restart }),
    ...(creationTimestamp === undefined ? {} : { created: creationTimestamp }),
    ...(bootImage === undefined ? {} : { bootImage }),
    ...(artifact !== undefined && isDigest(artifact) ? { artifact } : {}),
    ending: deletionTimestamp !== undefined,
    migrating: isMigrating(vmi) || isEvacuating(vmi) || isAwaited(pods),
  };
}

function phaseWithoutInstance(vm: VirtualMachine | undefined, troubled: boolean): InstanceReading['phase'] {
  if (vm?.metadata.deletionTimestamp !== undefined) return 'Stopping';
  if (troubled) return 'Failing';
  // Between stop and start, KubeVirt says Stopped of a machine that is being restarted.
  if ((vm?.status?.stateChangeRequests?.length ?? 0) > 0) return 'Starting';
  // An instance that KubeVirt has made and our copy does not show yet: it does not rest.
  if (vm?.status?.created === true && vm.spec.runStrategy !== 'Halted') return 'Starting';
  return vm?.spec.runStrategy === 'Always' || isYetToRun(vm) ? 'Pending' : 'Stopped';
}

/** KubeVirt starts a machine that is new, or was under another run strategy: it has not ended by itself. */
function isYetToRun(vm: VirtualMachine | undefined): boolean {
  if (vm?.spec.runStrategy !== 'RerunOnFailure') return false;
  const { printableStatus, runStrategy } = vm.status ?? {};
  return printableStatus === undefined || (runStrategy ?? 'RerunOnFailure') !== 'RerunOnFailure';
}

function phaseOf(
  vm: VirtualMachine | undefined,
  vmi: VirtualMachineInstance,
  troubled: boolean,
): InstanceReading['phase'] {
  if (vmi.metadata.deletionTimestamp !== undefined) return 'Stopping';
  const phase = vmi.status?.phase ?? '';
  if (phase === 'Succeeded' || phase === 'Failed') return isStartedAgain(vm, phase) ? 'Starting' : 'Stopped';
  if (phase === 'Running') {
    if (isMigrating(vmi)) return 'Migrating';
    return condition(vmi.status?.conditions, 'Paused')?.status === 'True' ? 'Paused' : 'Running';
  }
  if (troubled || phase === 'Unknown') return 'Failing';
  return phase === '' || phase === 'Pending' ? 'Pending' : 'Starting';
}

function isStartedAgain(vm: VirtualMachine | undefined, ended: 'Succeeded' | 'Failed'): boolean {
  const strategy = vm?.spec.runStrategy;
  return strategy === 'Always' || (strategy === 'RerunOnFailure' && ended === 'Failed');
}

function isMigrating(vmi: VirtualMachineInstance): boolean {
  const state = vmi.status?.migrationState;
  return state !== undefined && state.completed !== true && state.failed !== true;
}

/**
 * A pod waits for the guest, and the instance says nothing of it until that pod runs. A pod keeps its label after the
 * guest has arrived in it; so it counts only beside the one that the guest is in.
 */
function isAwaited(pods: readonly LauncherPod[]): boolean {
  const present = pods.filter(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined && !['Succeeded', 'Failed'].includes(status?.phase ?? ''),
  );
  return (
    present.length > 1 && present.some(({ metadata }) => metadata.labels?.[MIGRATION_LABEL] !== undefined)
  );
}

/** Of one that cannot be migrated, a drain waits until somebody ends it: it need not be spared for that. */
function isEvacuating(vmi: VirtualMachineInstance): boolean {
  const { evacuationNodeName = '', nodeName, conditions } = vmi.status ?? {};
  return (
    evacuationNodeName !== '' &&
    evacuationNodeName === nodeName &&
    condition(conditions, 'LiveMigratable')?.status === 'True'
  );
}

function addressesOf(vmi: VirtualMachineInstance): readonly string[] {
  const all = (vmi.status?.interfaces ?? []).flatMap(({ ipAddress, ipAddresses }) => [
    ...(ipAddress === undefined ? [] : [ipAddress]),
    ...(ipAddresses ?? []),
  ]);
  return [...new Set(all.filter((address) => address !== ''))].slice(0, 32);
}

/** In the order in which they know best: the instance, then the machine, then the pods, where both are silent. */
function troubleOf(
  vm: VirtualMachine | undefined,
  vmi: VirtualMachineInstance | undefined,
  pods: readonly LauncherPod[],
): InstanceReading['trouble'] {
  const started = vmi?.status?.phase === 'Running';
  return (
    conditionTrouble(vmi?.status?.conditions, started) ??
    // Of a machine whose instance is gone or replaced, the conditions may still be those of the one before.
    (vmi === undefined ? failureOf(vm) : undefined) ??
    (started ? undefined : podTrouble(pods))
  );
}

function conditionTrouble(
  conditions: readonly KubeVirtCondition[] | undefined,
  started: boolean,
): InstanceReading['trouble'] {
  const synchronized = condition(conditions, 'Synchronized');
  if (synchronized?.status === 'False') return troubleIn(synchronized, 'NotSynchronized');
  if (started) return undefined;
  const scheduled = condition(conditions, 'PodScheduled');
  return scheduled?.status === 'False' ? troubleIn(scheduled, 'Unschedulable') : undefined;
}

function failureOf(vm: VirtualMachine | undefined): InstanceReading['trouble'] {
  const failure = condition(vm?.status?.conditions, 'Failure');
  if (failure?.status === 'True') return troubleIn(failure, 'FailedCreate');
  if (vm?.status?.printableStatus !== 'CrashLoopBackOff') return undefined;
  const { consecutiveFailCount = 0, retryAfterTimestamp } = vm.status.startFailure ?? {};
  const next = retryAfterTimestamp === undefined ? '' : `, next try at ${retryAfterTimestamp}`;
  return {
    reason: 'CrashLoopBackOff',
    message: `ended ${consecutiveFailCount} times right after starting${next}`,
  };
}

/** What a container waits for while it simply takes its turn. */
const PATIENT = new Set(['ContainerCreating', 'PodInitializing', '']);

function podTrouble(pods: readonly LauncherPod[]): InstanceReading['trouble'] {
  for (const pod of pods) {
    const scheduled = condition(pod.status?.conditions, 'PodScheduled');
    if (scheduled?.status === 'False' && scheduled.reason !== 'SchedulingGated') {
      return troubleIn(scheduled, 'Unschedulable');
    }
    for (const container of [
      ...(pod.status?.initContainerStatuses ?? []),
      ...(pod.status?.containerStatuses ?? []),
    ]) {
      const trouble = containerTrouble(container);
      if (trouble !== undefined) return trouble;
    }
  }
  return undefined;
}

function containerTrouble({ name, state }: ContainerStatus): InstanceReading['trouble'] {
  const { reason = '', message } = state?.waiting ?? {};
  if (PATIENT.has(reason)) return undefined;
  return { reason, message: `container ${name}: ${message ?? reason}`.slice(0, MESSAGE_LIMIT) };
}

/** KubeVirt's reasons may be sentences; ours are single words. */
function troubleIn({ reason, message }: KubeVirtCondition, otherwise: string): InstanceReading['trouble'] {
  const word = reason !== undefined && /^[A-Za-z]+$/.test(reason) ? reason : otherwise;
  const text = message === undefined || message === '' ? (reason ?? otherwise) : message;
  return { reason: word, message: text.slice(0, MESSAGE_LIMIT) };
}

function condition(
  list: readonly KubeVirtCondition[] | undefined,
  type: string,
): KubeVirtCondition | undefined {
  return list?.find((entry) => entry.type === type);
}
