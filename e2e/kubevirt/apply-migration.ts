import { messageOf } from '../../operator/errors.ts';
import type { ApiClient } from '../../operator/runtime/api-client.ts';
import { timestamp } from './api/conditions.ts';
import { LAUNCHER_PODS, MIGRATIONS, VIRTUAL_MACHINE_INSTANCES } from './api/resources.ts';
import type { Migration, MigrationState } from './api/types.ts';
import type { MigrationStep } from './instance/migration.ts';
import type { Launchers } from './launcher/domain.ts';

/**
 * Does what was decided for a migration. Before a machine is sent the phase is written, and only onto the
 * version that it was decided for: an old copy must not have it sent twice. Otherwise the
 * instance is written first: a migration that is over has left nothing undone.
 */
export async function applyMigrationStep(
  client: ApiClient,
  migration: Migration,
  step: MigrationStep,
  launchers: Launchers,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name, resourceVersion } = migration.metadata;
  if (step.finalizers !== undefined) {
    const metadata = { resourceVersion, finalizers: step.finalizers };
    await client.patch(MIGRATIONS, { namespace, name }, { metadata }, { signal });
  }
  if (step.createPod !== undefined) await client.create(LAUNCHER_PODS, step.createPod, { signal });
  if (step.send === undefined)
    await writeState(client, migration, step.state, step.evacuated === true, signal);
  if (step.phase !== undefined)
    await writePhase(client, migration, step.phase, step.state, resourceVersion, now, signal);
  if (step.deletePod !== undefined)
    await client.delete(LAUNCHER_PODS, { namespace, name: step.deletePod }, { signal });
  if (step.cancel !== undefined) await launchers.cancelMigration(step.cancel.from);
  if (step.send === undefined) return;
  await writeState(client, migration, step.state, false, signal);
  const { from, to, block, bandwidth } = step.send;
  try {
    await launchers.migrate(from, to, { block, ...(bandwidth === undefined ? {} : { bandwidth }) });
  } catch (error) {
    const over: MigrationState = {
      endTimestamp: timestamp(now),
      completed: true,
      failed: true,
      failureReason: messageOf(error),
    };
    await writeState(client, migration, over, false, signal);
    await writePhase(client, migration, 'Failed', { ...step.state, ...over }, undefined, now, signal);
  }
}

async function writePhase(
  client: ApiClient,
  { metadata: { namespace, name }, status: before }: Migration,
  phase: string,
  state: MigrationState | undefined,
  resourceVersion: string | undefined,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  const entry = { phase, phaseTransitionTimestamp: timestamp(now) };
  const status = {
    phase,
    phaseTransitionTimestamps: [...(before?.phaseTransitionTimestamps ?? []), entry],
    ...(state === undefined ? {} : { migrationState: state }),
  };
  const patch = { ...(resourceVersion === undefined ? {} : { metadata: { resourceVersion } }), status };
  await client.patch(MIGRATIONS, { namespace, name }, patch, { signal, subresource: 'status' });
}

async function writeState(
  client: ApiClient,
  { metadata: { namespace }, spec: { vmiName: name } }: Migration,
  state: MigrationState | undefined,
  evacuated: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (state === undefined && !evacuated) return;
  const status = {
    ...(state === undefined ? {} : { migrationState: state }),
    ...(evacuated ? { evacuationNodeName: null } : {}),
  };
  await client.patch(VIRTUAL_MACHINE_INSTANCES, { namespace, name }, { status }, { signal });
}
