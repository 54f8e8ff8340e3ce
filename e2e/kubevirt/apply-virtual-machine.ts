import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../operator/errors.ts';
import type { ApiClient } from '../../operator/runtime/api-client.ts';
import { isAlreadyExists, isRefused } from '../../operator/runtime/api-error.ts';
import type { EventRecorder } from '../../operator/runtime/event-recorder.ts';
import { REVISIONS, VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES } from './api/resources.ts';
import type { ControllerRevision, VirtualMachineStatus } from './api/types.ts';
import { record } from './events.ts';
import { startRevisionName } from './machine/revisions.ts';
import type { VirtualMachineStep } from './machine/virtual-machine.ts';
import { failedCreation, type VirtualMachineView } from './machine/virtual-machine-status.ts';
import { statusPatch } from './status-patch.ts';

/** KubeVirt's field manager for what its controller writes. */
const MANAGER = 'virt-controller';

/** Does what was decided for a machine. Conflicts are the caller's: the machine is looked at again. */
export async function applyVirtualMachineStep(
  client: ApiClient,
  { vm, vmi, now }: VirtualMachineView,
  step: VirtualMachineStep,
  revisions: readonly ControllerRevision[],
  recorder: EventRecorder | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name } = vm.metadata;
  const key = { namespace, name };
  let resourceVersion = vm.metadata.resourceVersion ?? '';
  const finalizers = isDeepStrictEqual(step.finalizers, vm.metadata.finalizers ?? [])
    ? undefined
    : step.finalizers;
  if (finalizers !== undefined || step.annotations !== undefined || step.runStrategy !== undefined) {
    const metadata = {
      resourceVersion,
      ...(finalizers === undefined ? {} : { finalizers }),
      ...(step.annotations === undefined ? {} : { annotations: step.annotations }),
    };
    const written = await client.patch(
      VIRTUAL_MACHINES,
      key,
      { metadata },
      { signal, fieldManager: MANAGER },
    );
    resourceVersion = written.metadata.resourceVersion;
  }
  for (const revision of step.createRevisions) await createOnce(client, revision, signal);
  let status = step.status;
  if (step.createInstance !== undefined) {
    status = await createInstance(client, vm, step, status, now, signal);
    await deleteOlder(client, vm, revisions, signal);
  }
  if (step.deleteInstance === true && vmi !== undefined)
    await client.delete(VIRTUAL_MACHINE_INSTANCES, key, {
      signal,
      preconditions: { uid: vmi.metadata.uid ?? '' },
    });
  if (step.patchInstance !== undefined)
    await client.patch(VIRTUAL_MACHINE_INSTANCES, key, step.patchInstance, { signal, fieldManager: MANAGER });
  if (status !== undefined && !isDeepStrictEqual(status, vm.status)) {
    await client.patch(VIRTUAL_MACHINES, key, statusPatch(resourceVersion, status), {
      signal,
      type: 'json',
      subresource: 'status',
      fieldManager: MANAGER,
    });
  }
  record(recorder, vm, step.tell);
}

/** Creates the instance, and gives the status that the machine has then. */
async function createInstance(
  client: ApiClient,
  vm: VirtualMachineView['vm'],
  { createInstance: instance }: VirtualMachineStep,
  status: VirtualMachineStatus | undefined,
  now: Date,
  signal: AbortSignal,
): Promise<VirtualMachineStatus | undefined> {
  if (instance === undefined) return status;
  try {
    await client.create(VIRTUAL_MACHINE_INSTANCES, instance, { signal, fieldManager: MANAGER });
    return status;
  } catch (error) {
    if (!isRefused(error) || status === undefined) throw error;
    return failedCreation(vm, status, messageOf(error), now);
  }
}

async function createOnce(
  client: ApiClient,
  revision: ControllerRevision,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.create(REVISIONS, revision, { signal, fieldManager: MANAGER });
  } catch (error) {
    // Named by what it holds: the one that is there is the same.
    if (!isAlreadyExists(error)) throw error;
  }
}

/** KubeVirt keeps one start revision a machine. */
async function deleteOlder(
  client: ApiClient,
  vm: VirtualMachineView['vm'],
  revisions: readonly ControllerRevision[],
  signal: AbortSignal,
): Promise<void> {
  const prefix = `revision-start-vm-${vm.metadata.uid}-`;
  for (const { metadata } of revisions) {
    const { namespace, name } = metadata;
    if (namespace !== vm.metadata.namespace || !name.startsWith(prefix) || name === startRevisionName(vm))
      continue;
    await client.delete(REVISIONS, { namespace, name }, { signal });
  }
}
