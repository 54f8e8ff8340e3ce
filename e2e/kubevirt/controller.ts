import { isDeepStrictEqual } from 'node:util';
import type { ApiClient } from '../../operator/runtime/api-client.ts';
import { ApiError } from '../../operator/runtime/api-error.ts';
import type { Stored } from '../../operator/runtime/objects.ts';
import { nextForInstance } from './instance.ts';
import { LAUNCHER_PODS, VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES } from './resources.ts';
import type { Pod, VirtualMachine, VirtualMachineInstance } from './types.ts';
import { nextForVirtualMachine } from './virtual-machine.ts';

/**
 * One look at everything, and one step for each VM and instance. The clusters it plays in are
 * small: looking at all of it again and again is simpler than watching, and forgets nothing.
 */
export async function reconcileAll(
  client: ApiClient,
  launcherImage: string,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  const [vms, vmis, pods] = await Promise.all([
    client.list(VIRTUAL_MACHINES, { signal }),
    client.list(VIRTUAL_MACHINE_INSTANCES, { signal }),
    client.list(LAUNCHER_PODS, { signal, labelSelector: 'kubevirt.io=virt-launcher' }),
  ]);
  const instanceOf = new Map(vmis.items.map((vmi) => [keyOf(vmi), vmi]));
  const podOf = new Map(
    pods.items.map((pod) => [pod.metadata.labels?.['kubevirt.io/created-by'] ?? '', pod]),
  );
  for (const vm of vms.items) {
    await tolerant(() => stepVirtualMachine(client, vm, instanceOf.get(keyOf(vm)), now, signal));
  }
  for (const vmi of vmis.items) {
    await tolerant(() => stepInstance(client, vmi, podOf.get(vmi.metadata.uid), launcherImage, now, signal));
  }
}

/** An object that changed or went since the look is seen as it is at the next look. */
async function tolerant(step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    if (error instanceof ApiError && ['Conflict', 'NotFound', 'AlreadyExists'].includes(error.code)) return;
    throw error;
  }
}

function keyOf(object: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string {
  return `${object.metadata.namespace}/${object.metadata.name}`;
}

type StoredVm = Stored<typeof VIRTUAL_MACHINES.__object & object>;
type StoredVmi = Stored<typeof VIRTUAL_MACHINE_INSTANCES.__object & object>;
type StoredPod = Stored<typeof LAUNCHER_PODS.__object & object>;

async function stepVirtualMachine(
  client: ApiClient,
  vm: StoredVm,
  vmi: StoredVmi | undefined,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  const key = { namespace: vm.metadata.namespace ?? '', name: vm.metadata.name };
  const owned =
    vmi?.metadata.ownerReferences?.some((owner) => owner.uid === vm.metadata.uid) === true ? vmi : undefined;
  const step = nextForVirtualMachine(
    vm as unknown as VirtualMachine,
    owned as unknown as VirtualMachineInstance | undefined,
    now,
  );
  if (step.finalizers !== undefined && !isDeepStrictEqual(step.finalizers, vm.metadata.finalizers ?? [])) {
    await client.patch(
      VIRTUAL_MACHINES,
      key,
      // Of this version alone: garbage collection takes its own finalizer away meanwhile.
      { metadata: { resourceVersion: vm.metadata.resourceVersion, finalizers: step.finalizers } },
      { signal, fieldManager: 'virt-controller' },
    );
  }
  if (step.createInstance !== undefined) {
    await client.create(VIRTUAL_MACHINE_INSTANCES, step.createInstance, { signal });
  }
  if (step.deleteInstance === true) await client.delete(VIRTUAL_MACHINE_INSTANCES, key, { signal });
  if (step.status !== undefined && !isDeepStrictEqual(step.status, vm.status)) {
    await client.patch(VIRTUAL_MACHINES, key, [{ op: 'add', path: '/status', value: step.status }], {
      signal,
      type: 'json',
      subresource: 'status',
    });
  }
}

async function stepInstance(
  client: ApiClient,
  vmi: StoredVmi,
  pod: StoredPod | undefined,
  launcherImage: string,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  const key = { namespace: vmi.metadata.namespace ?? '', name: vmi.metadata.name };
  const step = nextForInstance(
    vmi as unknown as VirtualMachineInstance,
    pod as unknown as Pod | undefined,
    launcherImage,
    now,
  );
  if (step.createPod !== undefined) await client.create(LAUNCHER_PODS, step.createPod, { signal });
  if (step.deletePod !== undefined && pod !== undefined) {
    const { namespace = '', name } = pod.metadata;
    await client.delete(
      LAUNCHER_PODS,
      { namespace, name },
      { signal, gracePeriodSeconds: step.deletePod.gracePeriodSeconds },
    );
  }
  // The instance has no status subresource: its status is written with the rest of it.
  if (step.status !== undefined && !isDeepStrictEqual(step.status, vmi.status)) {
    await client.patch(VIRTUAL_MACHINE_INSTANCES, key, [{ op: 'add', path: '/status', value: step.status }], {
      signal,
      type: 'json',
    });
  }
  if (step.finalizers !== undefined && !isDeepStrictEqual(step.finalizers, vmi.metadata.finalizers ?? [])) {
    await client.patch(
      VIRTUAL_MACHINE_INSTANCES,
      key,
      { metadata: { resourceVersion: vmi.metadata.resourceVersion, finalizers: step.finalizers } },
      { signal },
    );
  }
}
