import { findCondition } from '../api/conditions.ts';
import type { Migration, Pod, VirtualMachineInstance } from '../api/types.ts';
import { evacuationPauseMs } from '../pauses.ts';
import { isMigrationOver } from './migration.ts';
import { isFinal } from './phase.ts';
import { activePod } from './pods.ts';

/** What becomes of the wish to evict an instance's pod. */
export interface EvictionAnswer {
  readonly allowed: boolean;
  /** With HTTP 429, which makes `kubectl drain` ask again. */
  readonly message?: string;
  /** To be written to the instance's status. */
  readonly evacuationNodeName?: string;
}

/** KubeVirt's webhook on evictions: a pod whose machine can move is not evicted, its machine is moved. */
export function answerEviction(
  vmi: VirtualMachineInstance | undefined,
  pod: Pod,
  pods: readonly Pod[],
): EvictionAnswer {
  if (vmi === undefined || isFinal(vmi.status?.phase)) return { allowed: true };
  // The pod that a machine has left, or is not in yet, is nobody's loss; a target in waiting is one.
  if (activePod(pods)?.metadata.name !== pod.metadata.name) return { allowed: true };
  const name = `${vmi.metadata.namespace}/${vmi.metadata.name}`;
  const node = vmi.status?.nodeName ?? pod.spec.nodeName ?? '';
  const migratable = findCondition(vmi.status?.conditions, 'LiveMigratable')?.status === 'True';
  const evacuate: EvictionAnswer = {
    allowed: false,
    message: `Eviction triggered evacuation of VMI "${name}"`,
    evacuationNodeName: node,
  };
  switch (vmi.spec.evictionStrategy) {
    case 'LiveMigrate':
      if (migratable) return evacuate;
      return {
        allowed: false,
        message: `VMI ${vmi.metadata.name} is configured with an eviction strategy but is not live-migratable`,
      };
    case 'LiveMigrateIfPossible':
      return migratable ? evacuate : { allowed: true };
    case 'External':
      return evacuate;
    default:
      return { allowed: true };
  }
}

/** The migration that an evacuation needs now, if none is under way. After one that failed, the next one waits. */
export function evacuation(
  vmi: VirtualMachineInstance,
  migrations: readonly Migration[],
  now: Date,
): Migration | undefined {
  const { evacuationNodeName: node, phase } = vmi.status ?? {};
  if (!node || phase !== 'Running' || vmi.metadata.deletionTimestamp !== undefined) return undefined;
  if (vmi.spec.evictionStrategy === 'External') return undefined;
  const { name, namespace, uid = '' } = vmi.metadata;
  const own = migrations.filter(
    (each) => each.spec.vmiName === name && each.metadata.namespace === namespace,
  );
  if (own.some((each) => !isMigrationOver(each)) || now.getTime() < notBefore(own)) return undefined;
  // The same name for everyone who decides this, so that two looks make one migration.
  const taken = new Set(own.map((each) => each.metadata.name));
  const nameOf = (number: number): string => `kubevirt-evacuation-${uid.slice(0, 8)}-${number}`;
  let number = own.length;
  while (taken.has(nameOf(number))) number += 1;
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: {
      name: nameOf(number),
      namespace,
      annotations: { 'kubevirt.io/evacuationMigration': node },
    },
    spec: { vmiName: name },
  };
}

/** When the next migration may be tried: at once, unless the last ones failed. Milliseconds since 1970. */
function notBefore(migrations: readonly Migration[]): number {
  const ends = migrations
    .map(({ status }) => ({ phase: status?.phase, at: Date.parse(lastTransition(status) ?? '') }))
    .filter(({ at }) => !Number.isNaN(at))
    .sort((a, b) => a.at - b.at);
  const succeeded = ends.findLastIndex(({ phase }) => phase === 'Succeeded');
  const failures = ends.slice(succeeded + 1);
  const last = failures.at(-1);
  return last === undefined ? 0 : last.at + evacuationPauseMs(failures.length);
}

function lastTransition(status: Migration['status']): string | undefined {
  return status?.phaseTransitionTimestamps?.at(-1)?.phaseTransitionTimestamp;
}

/** What KubeVirt refuses of a new migration. */
export function migrationRefusal(
  migration: Migration,
  vmi: VirtualMachineInstance | undefined,
  migrations: readonly Migration[],
): string | undefined {
  const { vmiName } = migration.spec;
  if (vmi === undefined) return `the VMI "${migration.metadata.namespace}/${vmiName}" does not exist`;
  if (isFinal(vmi.status?.phase)) return 'Cannot migrate VMI in finalized state.';
  const migratable = findCondition(vmi.status?.conditions, 'LiveMigratable');
  if (migratable?.status === 'False')
    return `Cannot migrate VMI, Reason: ${migratable.reason ?? ''}, Message: ${migratable.message ?? ''}`;
  const active = migrations.find((each) => each.spec.vmiName === vmiName && !isMigrationOver(each));
  return active === undefined
    ? undefined
    : `in-flight migration detected. Active migration job (${active.metadata.uid}) is currently already in progress for VMI ${vmiName}.`;
}
