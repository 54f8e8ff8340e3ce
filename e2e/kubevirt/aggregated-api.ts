import type { ApiClient } from '../../operator/runtime/api-client.ts';
import { isConflict } from '../../operator/runtime/api-error.ts';
import {
  LAUNCHER_PODS,
  LAUNCHER_SELECTOR,
  MIGRATIONS,
  VIRTUAL_MACHINE_INSTANCES,
  VIRTUAL_MACHINES,
} from './api/resources.ts';
import type { VirtualMachine, VirtualMachineInstance } from './api/types.ts';
import { answerSubresource, isSubresourceVerb, type SubresourceAnswer } from './machine/subresources.ts';
import { statusPatch } from './status-patch.ts';

const GROUP_PATH = '/apis/subresources.kubevirt.io/v1';
const CALL = new RegExp(`^${GROUP_PATH}/namespaces/([^/]+)/virtualmachines/([^/]+)/([a-z]+)$`);
const MANAGER = 'virt-api';
const ATTEMPTS = 5;

/** An answer over HTTP; the body is JSON. */
export interface HttpAnswer {
  readonly status: number;
  readonly body?: object;
}

/**
 * KubeVirt's aggregated API: `PUT …/virtualmachines/NAME/{start,stop,restart,migrate}`. Who may call it
 * has been decided by the API server before it hands the call on.
 * @returns undefined for a path that is not of this API.
 */
export async function answerAggregated(
  method: string,
  path: string,
  body: string,
  client: ApiClient,
  signal: AbortSignal,
): Promise<HttpAnswer | undefined> {
  if (method === 'GET' && path === GROUP_PATH) return { status: 200, body: DISCOVERY };
  const call = CALL.exec(path);
  if (call === null || method !== 'PUT') return undefined;
  const [, namespace = '', name = '', verb = ''] = call;
  const key = { namespace, name };
  if (verb === 'migrate') return await migrate(client, key, signal);
  if (!isSubresourceVerb(verb)) return undefined;
  const force = (body === '' ? {} : (JSON.parse(body) as { gracePeriodSeconds?: number })).gracePeriodSeconds;
  if (force !== undefined && force !== 0 && verb === 'restart')
    return failure(400, 'only gracePeriod=0 is supported');
  for (let attempt = 1; ; attempt += 1) {
    const vm = (await client.find(VIRTUAL_MACHINES, key, { signal })) as VirtualMachine | undefined;
    if (vm === undefined) return failure(404, `virtualmachine.kubevirt.io "${name}" not found`);
    const vmi = (await client.find(VIRTUAL_MACHINE_INSTANCES, key, { signal })) as
      | VirtualMachineInstance
      | undefined;
    const answer = answerSubresource(verb, vm, vmi, { force: force === 0 });
    try {
      return await obey(client, vm, vmi, answer, signal);
    } catch (error) {
      // The controller wrote in between: what was decided may no longer be right.
      if (!isConflict(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

async function obey(
  client: ApiClient,
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  answer: SubresourceAnswer,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { namespace, name, resourceVersion = '' } = vm.metadata;
  const key = { namespace, name };
  if ('message' in answer) return failure(answer.status, answer.message);
  if ('runStrategy' in answer) {
    // Owned by virt-api from then on: an apply without force by somebody else conflicts.
    const { runStrategy } = answer;
    await client.patch(
      VIRTUAL_MACHINES,
      key,
      { metadata: { resourceVersion }, spec: { runStrategy } },
      { signal, fieldManager: MANAGER },
    );
    return { status: 202 };
  }
  const status = { ...vm.status, stateChangeRequests: answer.requests };
  await client.patch(VIRTUAL_MACHINES, key, statusPatch(resourceVersion, status), {
    signal,
    type: 'json',
    subresource: 'status',
    fieldManager: MANAGER,
  });
  if (answer.force === true && vmi !== undefined) {
    const labelSelector = `${LAUNCHER_SELECTOR},kubevirt.io/created-by=${vmi.metadata.uid}`;
    const { items } = await client.list(LAUNCHER_PODS, { signal, namespace, labelSelector });
    for (const { metadata } of items)
      await client.delete(
        LAUNCHER_PODS,
        { namespace, name: metadata.name },
        { signal, gracePeriodSeconds: 0 },
      );
  }
  return { status: 202 };
}

async function migrate(
  client: ApiClient,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const vmi = await client.find(VIRTUAL_MACHINE_INSTANCES, { namespace, name }, { signal });
  if (vmi?.status?.phase !== 'Running') return failure(409, 'VM is not running');
  const { items } = await client.list(MIGRATIONS, { signal, namespace });
  const made = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration' as const,
    metadata: { name: `kubevirt-migrate-vm-${vmi.metadata.uid.slice(0, 8)}-${items.length}`, namespace },
    spec: { vmiName: name },
  };
  await client.create(MIGRATIONS, made, { signal });
  return { status: 202 };
}

function failure(code: number, message: string): HttpAnswer {
  const reasons: Readonly<Record<number, string>> = { 400: 'BadRequest', 404: 'NotFound', 409: 'Conflict' };
  const reason = reasons[code] ?? 'InternalError';
  return {
    status: code,
    body: { apiVersion: 'v1', kind: 'Status', metadata: {}, status: 'Failure', code, reason, message },
  };
}

const DISCOVERY = {
  apiVersion: 'v1',
  kind: 'APIResourceList',
  groupVersion: 'subresources.kubevirt.io/v1',
  resources: ['start', 'stop', 'restart', 'migrate'].map((verb) => ({
    name: `virtualmachines/${verb}`,
    singularName: '',
    namespaced: true,
    kind: 'VirtualMachine',
    verbs: ['update'],
  })),
};
