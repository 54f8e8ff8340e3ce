import { findCondition, timestamp } from '../api/conditions.ts';
import { bytesOf } from '../api/quantity.ts';
import type { Claim, Migration, MigrationState, Pod, VirtualMachineInstance } from '../api/types.ts';
import type { DomainState } from '../launcher/domain.ts';
import { guestDisks } from '../launcher/guest-disks.ts';
import { MIGRATION_PORT } from '../launcher/launch-plan.ts';
import { launcherPod, MIGRATION_LABEL } from '../launcher/launcher-pod.ts';
import { MIGRATION_PENDING_MS } from '../pauses.ts';
import { isFinal } from './phase.ts';
import { activePod, compute, hasHandedOver, isOver } from './pods.ts';

export const MIGRATION_FINALIZER = 'kubevirt.io/migrationJobFinalize';
/** A test's handle on how long a migration takes: bytes a second as a quantity, on the migration object. */
export const BANDWIDTH_ANNOTATION = 'standin.kubevirt.io/bandwidth';

/** A migration and what it is about. */
export interface MigrationView {
  readonly migration: Migration;
  readonly vmi: VirtualMachineInstance | undefined;
  /** All pods of the instance. */
  readonly pods: readonly Pod[];
  /** What the launchers tell: of the pod that the machine is in, and of the one made for this migration. */
  readonly source: DomainState | undefined;
  readonly target: DomainState | undefined;
  readonly claims: ReadonlyMap<string, Claim>;
  readonly launcherImage: string;
  readonly now: Date;
}

export interface MigrationStep {
  readonly finalizers?: readonly string[];
  readonly phase?: string;
  readonly createPod?: Pod;
  readonly deletePod?: string;
  /** Tell the source to send the machine. */
  readonly send?: {
    readonly from: string;
    readonly to: string;
    readonly bandwidth?: number;
    readonly block: boolean;
  };
  readonly cancel?: { readonly from: string };
  /** Merged into the instance's migrationState. */
  readonly state?: MigrationState;
  /** The instance is where it was to go: an evacuation is done. */
  readonly evacuated?: boolean;
}

export function isMigrationOver(migration: Migration): boolean {
  return isFinal(migration.status?.phase);
}

export function targetPodOf(migration: Migration, pods: readonly Pod[]): Pod | undefined {
  return pods.find((pod) => pod.metadata.labels?.[MIGRATION_LABEL] === migration.metadata.uid);
}

/** What KubeVirt's migration controller and node agents do next; one phase a look. */
export function nextForMigration(view: MigrationView): MigrationStep {
  const { migration, vmi, pods } = view;
  const finalizers = migration.metadata.finalizers ?? [];
  const deleting = migration.metadata.deletionTimestamp !== undefined;
  if (isMigrationOver(migration))
    return deleting ? { finalizers: finalizers.filter((name) => name !== MIGRATION_FINALIZER) } : {};
  if (!finalizers.includes(MIGRATION_FINALIZER) && !deleting)
    return { finalizers: [...finalizers, MIGRATION_FINALIZER] };
  const phase = migration.status?.phase ?? '';
  const target = targetPodOf(migration, pods);
  if (vmi === undefined || isFinal(vmi.status?.phase) || vmi.metadata.deletionTimestamp !== undefined)
    return failed(view, target, 'the instance has ended');
  const source = sourcePod(pods, target);
  if (phase === 'Running') return whileRunning(view, source, target);
  if (deleting) return failed(view, target, 'the migration was cancelled');
  if (target !== undefined && isOver(target)) return failed(view, target, 'the target pod has ended');
  switch (phase) {
    case '':
      return { phase: 'Pending' };
    case 'Pending':
      return pending(view, vmi, source, target);
    case 'Scheduling':
      if (target === undefined) return failed(view, target, 'the target pod is gone');
      if (compute(target)?.state?.running !== undefined)
        return { phase: 'Scheduled', state: handedOver(migration, source, target) };
      return hasWaited(view) ? failed(view, target, 'the target pod does not come to run') : {};
    case 'Scheduled':
      return { phase: 'PreparingTarget' };
    case 'PreparingTarget':
      if (view.target?.state === 'failed') return failed(view, target, view.target.message ?? 'no target');
      return view.target?.state === 'incoming'
        ? { phase: 'TargetReady', state: { targetNodeAddress: target?.status?.podIP ?? '' } }
        : {};
    default:
      return start(view, source, target);
  }
}

function hasWaited({ migration, now }: MigrationView): boolean {
  const since = migration.status?.phaseTransitionTimestamps?.at(-1)?.phaseTransitionTimestamp;
  return since !== undefined && now.getTime() - Date.parse(since) > MIGRATION_PENDING_MS;
}

/** The pod that the machine is in, or was in until this migration. */
function sourcePod(pods: readonly Pod[], target: Pod | undefined): Pod | undefined {
  return activePod(pods.filter((pod) => pod !== target));
}

function pending(
  view: MigrationView,
  vmi: VirtualMachineInstance,
  source: Pod | undefined,
  target: Pod | undefined,
): MigrationStep {
  if (target !== undefined) return { phase: 'Scheduling' };
  if (vmi.status?.phase !== 'Running' || source === undefined) return {};
  if (findCondition(vmi.status.conditions, 'LiveMigratable')?.status !== 'True')
    return failed(view, target, 'the instance is not live migratable');
  const takeover = { migrationUid: view.migration.metadata.uid ?? '', sourcePod: source.metadata.name };
  return { createPod: launcherPod(vmi, { ...view, takeover }) };
}

function handedOver(migration: Migration, source: Pod | undefined, target: Pod): MigrationState {
  return {
    migrationUid: migration.metadata.uid ?? '',
    sourceNode: source?.spec.nodeName ?? '',
    sourcePod: source?.metadata.name ?? '',
    targetNode: target.spec.nodeName ?? '',
    targetPod: target.metadata.name,
    mode: 'PreCopy',
  };
}

function start(view: MigrationView, source: Pod | undefined, target: Pod | undefined): MigrationStep {
  const send = order(view, source, target);
  return send === undefined ? {} : { phase: 'Running', state: { startTimestamp: timestamp(view.now) }, send };
}

function order(
  { migration, vmi, claims }: MigrationView,
  source: Pod | undefined,
  target: Pod | undefined,
): MigrationStep['send'] {
  const [from, to] = [source?.status?.podIP, target?.status?.podIP];
  if (from === undefined || to === undefined || vmi === undefined) return undefined;
  const bandwidth = migration.metadata.annotations?.[BANDWIDTH_ANNOTATION];
  return {
    from,
    to: `${to}:${MIGRATION_PORT}`,
    block: guestDisks(vmi, claims).local,
    ...(bandwidth === undefined ? {} : { bandwidth: bytesOf(bandwidth) }),
  };
}

function whileRunning(view: MigrationView, source: Pod | undefined, target: Pod | undefined): MigrationStep {
  const { migration, now } = view;
  const sent = source === undefined || hasHandedOver(source);
  if (target !== undefined && sent && view.target?.state === 'running') {
    const state = { endTimestamp: timestamp(now), completed: true };
    return { phase: 'Succeeded', state, evacuated: true };
  }
  if (target === undefined || isOver(target)) return failed(view, target, 'the target pod has ended');
  if (source !== undefined && isOver(source) && !sent)
    return failed(view, target, 'the source pod has ended');
  const status = view.source?.migration?.status;
  if (status === 'failed' || status === 'cancelled')
    return failed(view, target, view.source?.migration?.message ?? `the migration has ${status}`);
  const from = source?.status?.podIP;
  if (migration.metadata.deletionTimestamp !== undefined && from !== undefined && !sent)
    return { cancel: { from } };
  if (view.source?.state === 'running' && view.source.migration === undefined) {
    // The order was lost: whoever was to give it ended between writing the phase and giving it.
    const send = order(view, source, target);
    return send === undefined ? {} : { send };
  }
  return {};
}

function failed(
  { migration, vmi, now }: MigrationView,
  target: Pod | undefined,
  reason: string,
): MigrationStep {
  const ours = vmi?.status?.migrationState?.migrationUid === migration.metadata.uid;
  return {
    phase: 'Failed',
    ...(target === undefined ? {} : { deletePod: target.metadata.name }),
    ...(ours
      ? { state: { endTimestamp: timestamp(now), completed: true, failed: true, failureReason: reason } }
      : {}),
  };
}
