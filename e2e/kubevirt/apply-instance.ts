import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../operator/errors.ts';
import type { ApiClient } from '../../operator/runtime/api-client.ts';
import { isRefused } from '../../operator/runtime/api-error.ts';
import type { EventRecorder } from '../../operator/runtime/event-recorder.ts';
import { LAUNCHER_PODS, VIRTUAL_MACHINE_INSTANCES } from './api/resources.ts';
import type { InstanceStatus, Pod } from './api/types.ts';
import { record } from './events.ts';
import { type InstanceStep, type InstanceView, nextForInstance } from './instance/instance.ts';
import { statusPatch } from './status-patch.ts';

/**
 * Does what was decided for an instance.
 * @returns why the API server refuses its pod, if it does: the namespace's Pod Security level, a quota.
 */
export async function applyInstanceStep(
  client: ApiClient,
  view: InstanceView,
  step: InstanceStep,
  recorder: EventRecorder | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { vmi, pods } = view;
  if (step.createPod !== undefined) {
    const refused = await refusalOf(client, view, step.createPod, signal);
    if (refused !== undefined) {
      record(recorder, vmi, [{ type: 'Warning', reason: 'FailedCreate', note: refused }]);
      await writeStatus(client, view, nextForInstance({ ...view, podRefusal: refused }).status, signal);
      return refused;
    }
  }
  for (const name of step.deletePods) {
    const uid = pods.find((pod) => pod.metadata.name === name)?.metadata.uid ?? '';
    const key = { namespace: vmi.metadata.namespace, name };
    await client.delete(LAUNCHER_PODS, key, { signal, preconditions: { uid } });
  }
  let resourceVersion = await writeStatus(client, view, step.status, signal);
  const finalizers = isDeepStrictEqual(step.finalizers, vmi.metadata.finalizers ?? [])
    ? undefined
    : step.finalizers;
  if (finalizers !== undefined || step.labels !== undefined) {
    resourceVersion ??= vmi.metadata.resourceVersion;
    const metadata = {
      resourceVersion,
      ...(finalizers === undefined ? {} : { finalizers }),
      ...(step.labels === undefined ? {} : { labels: step.labels }),
    };
    await client.patch(VIRTUAL_MACHINE_INSTANCES, keyOf(view), { metadata }, { signal });
  }
  record(recorder, vmi, step.tell);
  return undefined;
}

function keyOf({ vmi }: InstanceView): { readonly namespace: string; readonly name: string } {
  return { namespace: vmi.metadata.namespace, name: vmi.metadata.name };
}

/** The instance has no status subresource: its status is written with the rest of it. */
async function writeStatus(
  client: ApiClient,
  view: InstanceView,
  status: InstanceStatus | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { vmi } = view;
  if (status === undefined || isDeepStrictEqual(status, vmi.status)) return undefined;
  const patch = statusPatch(vmi.metadata.resourceVersion ?? '', status);
  const written = await client.patch(VIRTUAL_MACHINE_INSTANCES, keyOf(view), patch, { signal, type: 'json' });
  return written.metadata.resourceVersion;
}

async function refusalOf(
  client: ApiClient,
  { vmi }: InstanceView,
  pod: Pod,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await client.create(LAUNCHER_PODS, pod, { signal });
    return undefined;
  } catch (error) {
    if (!isRefused(error)) throw error;
    const why = messageOf(error);
    const { namespace, name } = vmi.metadata;
    return why.includes('violates PodSecurity')
      ? `failed to create pod for vmi ${namespace}/${name}, it needs a privileged namespace to run: ${why}`
      : `failed to create virtual machine pod: ${why}`;
  }
}
