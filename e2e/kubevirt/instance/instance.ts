import { timestamp } from '../api/conditions.ts';
import type {
  Claim,
  InstanceInterface,
  InstanceStatus,
  Pod,
  Told,
  VirtualMachineInstance,
} from '../api/types.ts';
import type { DomainState } from '../launcher/domain.ts';
import { guestDisks } from '../launcher/guest-disks.ts';
import { macOf, podInterface } from '../launcher/guest-network.ts';
import { cpuTopology, guestMebibytes } from '../launcher/launch-plan.ts';
import { launcherPod, OVERHEAD_MIB } from '../launcher/launcher-pod.ts';
import { claimNames } from '../launcher/volume-sources.ts';
import { VMI_FINALIZER } from '../machine/virtual-machine.ts';
import type { Pauses } from '../pauses.ts';
import { instanceConditions, syncFailure, type Trouble } from './conditions.ts';
import { isFinal, nextPhase } from './phase.ts';
import { activePod, isOver } from './pods.ts';

/** An instance and all that KubeVirt's controller and node agent look at beside it. */
export interface InstanceView {
  readonly vmi: VirtualMachineInstance;
  /** All pods of the instance: more than one during and after migrations. */
  readonly pods: readonly Pod[];
  /** What the launcher of the active pod tells. */
  readonly domain: DomainState | undefined;
  /** Claims of the namespace. */
  readonly claims: ReadonlyMap<string, Claim>;
  /** Why the API server refused the pod, when it was last asked for one. */
  readonly podRefusal?: string;
  readonly launcherImage: string;
  readonly pauses: Pauses;
  readonly now: Date;
}

export interface InstanceStep {
  readonly createPod?: Pod;
  readonly deletePods: readonly string[];
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly status?: InstanceStatus;
  readonly tell: readonly Told[];
}

const NODE_LABEL = 'kubevirt.io/nodeName';

/** What KubeVirt's VMI controller and node agent do next. */
export function nextForInstance(view: InstanceView): InstanceStep {
  const { vmi, pods, now, pauses } = view;
  const pod = activePod(pods);
  const deleting = vmi.metadata.deletionTimestamp !== undefined;
  const before = vmi.status?.phase ?? '';
  const trouble = pod === undefined && !deleting && !isFinal(before) ? obstacle(view) : undefined;
  const status = statusOf(view, pod, trouble);
  const tell = tidings(view, before, status);

  if (isFinal(before)) {
    if (!deleting) return { status, deletePods: [], tell };
    const released = now.getTime() - endedAt(vmi) >= pauses.releaseMs;
    const left = pods.filter((each) => each.metadata.deletionTimestamp === undefined);
    if (pods.length > 0 || !released) return { status, deletePods: left.map(nameOf), tell };
    const finalizers = (vmi.metadata.finalizers ?? []).filter((name) => name !== VMI_FINALIZER);
    return { status, finalizers, deletePods: [], tell };
  }
  if (deleting) {
    // KubeVirt deletes the pod, and what runs in it takes that as a wish to power off.
    const alive = pods.filter((each) => each.metadata.deletionTimestamp === undefined);
    return { status, deletePods: alive.map(nameOf), tell: [...tell, ...alive.map(deletedPod)] };
  }
  const unprocessed = before === '' || before === 'Pending';
  if (pod === undefined && unprocessed && trouble === undefined) {
    const made = launcherPod(vmi, view);
    const note = `Created virtual machine pod ${made.metadata.name}`;
    const told: Told = { type: 'Normal', reason: 'SuccessfulCreate', note };
    return { status, createPod: made, deletePods: [], tell: [...tell, told] };
  }
  const node = status.nodeName;
  const labels =
    node === undefined || vmi.metadata.labels?.[NODE_LABEL] === node
      ? {}
      : { labels: { [NODE_LABEL]: node } };
  return { status, ...labels, deletePods: [], tell };
}

function nameOf(pod: Pod): string {
  return pod.metadata.name;
}

/** What keeps an instance from getting a pod at all. */
function obstacle({ vmi, claims, podRefusal }: InstanceView): Trouble | undefined {
  if (podRefusal !== undefined) return { reason: 'FailedCreate', message: podRefusal };
  const missing = claimNames(vmi.spec).find((name) => !claims.has(name));
  if (missing !== undefined)
    return {
      reason: 'FailedPvcNotFound',
      message: `PVC ${vmi.metadata.namespace}/${missing} does not exist, waiting for it to appear`,
    };
  const { problem } = guestDisks(vmi, claims);
  return problem === undefined ? undefined : syncFailure(problem);
}

function endedAt({ status }: VirtualMachineInstance): number {
  const last = status?.phaseTransitionTimestamps?.at(-1);
  return last === undefined ? 0 : Date.parse(last.phaseTransitionTimestamp);
}

function statusOf(view: InstanceView, pod: Pod | undefined, trouble: Trouble | undefined): InstanceStatus {
  const { vmi, pods, domain, claims, now, pauses } = view;
  const before = vmi.status ?? {};
  const phase = nextPhase(vmi, pod, domain);
  const transitions = before.phaseTransitionTimestamps ?? [];
  const justEnded =
    isFinal(phase) &&
    vmi.metadata.deletionTimestamp === undefined &&
    now.getTime() - (before.phase === phase ? endedAt(vmi) : now.getTime()) < pauses.staleReadyMs;
  const memory = `${guestMebibytes(vmi.spec)}Mi`;
  const started = phase === 'Scheduled' || phase === 'Running';
  return {
    ...before,
    phase,
    conditions: instanceConditions({
      vmi,
      pod,
      phase,
      domain,
      trouble,
      claims,
      readyIsStale: justEnded,
      now,
    }),
    phaseTransitionTimestamps:
      before.phase === phase
        ? transitions
        : [...transitions, { phase, phaseTransitionTimestamp: timestamp(now) }],
    guestOSInfo: {},
    runtimeUser: 107,
    currentCPUTopology: cpuTopology(vmi.spec.domain.cpu),
    memory: {
      guestRequested: memory,
      guestAtBoot: memory,
      guestCurrent: memory,
      memoryOverhead: `${OVERHEAD_MIB}Mi`,
    },
    activePods: Object.fromEntries(
      pods.flatMap(({ metadata, spec, ...each }) =>
        spec.nodeName === undefined || isOver({ metadata, spec, ...each })
          ? []
          : [[metadata.uid ?? '', spec.nodeName]],
      ),
    ),
    ...(pod === undefined ? {} : ofPod(pod, started)),
    ...(phase === 'Running' && pod !== undefined
      ? {
          machine: { type: 'pc-q35-10.0' },
          migrationMethod: guestDisks(vmi, claims).local ? 'BlockMigration' : 'LiveMigration',
          interfaces: interfacesOf(vmi, pod),
        }
      : {}),
  };
}

function ofPod({ spec, status }: Pod, started: boolean): InstanceStatus {
  return {
    ...(status?.qosClass === undefined ? {} : { qosClass: status.qosClass }),
    // Known to the instance from when it is handed to the node.
    ...(started && spec.nodeName !== undefined ? { nodeName: spec.nodeName } : {}),
  };
}

function interfacesOf(vmi: VirtualMachineInstance, pod: Pod): InstanceInterface[] {
  const address = pod.status?.podIP;
  const nic = podInterface(vmi.spec);
  if (nic === undefined || address === undefined) return [];
  return [
    {
      name: nic.name,
      ipAddress: address,
      ipAddresses: pod.status?.podIPs?.map(({ ip }) => ip) ?? [address],
      infoSource: 'domain',
      linkState: 'up',
      mac: macOf(vmi, nic),
      podInterfaceName: 'eth0',
      queueCount: 1,
    },
  ];
}

/** What is worth an event in the change from the phase before to this status. */
function tidings(
  { vmi, domain }: InstanceView,
  before: string,
  { phase, conditions }: InstanceStatus,
): Told[] {
  const told: Told[] = [];
  if (phase === 'Running' && before !== 'Running') {
    told.push({ type: 'Normal', reason: 'Created', note: 'VirtualMachineInstance defined.' });
    told.push({ type: 'Normal', reason: 'Started', note: 'VirtualMachineInstance started.' });
  }
  if (phase !== before && phase === 'Succeeded')
    told.push({ type: 'Normal', reason: 'Stopped', note: 'The VirtualMachineInstance was shut down.' });
  if (phase !== before && phase === 'Failed')
    told.push({ type: 'Warning', reason: 'Stopped', note: 'The VirtualMachineInstance crashed.' });
  if (phase === 'Running' && vmi.metadata.deletionTimestamp !== undefined)
    told.push({ type: 'Normal', reason: 'ShuttingDown', note: 'Signaled Graceful Shutdown' });
  if (phase === 'Scheduled' && domain?.state === 'failed')
    told.push({
      type: 'Warning',
      reason: 'SyncFailed',
      note: conditions?.find(({ type }) => type === 'Synchronized')?.message ?? '',
    });
  return told;
}

function deletedPod(pod: Pod): Told {
  return {
    type: 'Normal',
    reason: 'SuccessfulDelete',
    note: `Deleted virtual machine pod ${pod.metadata.name}`,
  };
}
