import { randomUUID } from 'node:crypto';
import type { ApiClient } from '../../../operator/runtime/api-client.ts';
import {
  LAUNCHER_PODS,
  LAUNCHER_SELECTOR,
  MIGRATIONS,
  SIZINGS,
  VIRTUAL_MACHINE_INSTANCES,
} from '../api/resources.ts';
import type { Migration, Pod, VirtualMachine, VirtualMachineInstance } from '../api/types.ts';
import { answerEviction, migrationRefusal } from '../instance/eviction.ts';
import { resolveSizing, type SizingObject } from '../machine/sizing-source.ts';
import { defaultsPatch } from './defaults.ts';
import { instanceCreateRefusals, instanceUpdateRefusals } from './instance-rules.ts';
import { admitted, type ReviewResponse, refused, tooManyRequests } from './response.ts';
import { refusals } from './virtual-machine-rules.ts';

/** The request of an admission.k8s.io/v1 review, as far as it is read. */
export interface ReviewRequest {
  readonly uid: string;
  readonly operation: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly dryRun?: boolean;
  readonly object: unknown;
  readonly oldObject?: unknown;
}

/** What the webhooks know beside the request. */
export interface ReviewContext {
  readonly client: ApiClient;
  readonly signal: AbortSignal;
}

/** Answers a review by the path of the webhook; undefined for a path that is none. */
export async function answerReview(
  path: string,
  request: ReviewRequest,
  context: ReviewContext,
): Promise<ReviewResponse | undefined> {
  const { uid, object } = request;
  if (object === null || object === undefined) return admitted(uid);
  switch (path) {
    case '/mutate/virtualmachines':
      return admitted(uid, defaultsPatch(object as VirtualMachine, randomUUID));
    case '/validate/virtualmachines':
      return refused(
        uid,
        refusals(object as VirtualMachine, await sizingOf(object as VirtualMachine, context)),
      );
    case '/validate/virtualmachineinstances':
      return refused(uid, instanceCauses(request));
    case '/validate/virtualmachineinstancemigrations':
      return await reviewMigration(request, context);
    case '/validate/evictions':
      return await reviewEviction(request, context);
    default:
      return undefined;
  }
}

function instanceCauses({ operation, object, oldObject }: ReviewRequest) {
  const instance = object as VirtualMachineInstance;
  if (operation === 'CREATE') return instanceCreateRefusals(instance.spec);
  return instanceUpdateRefusals(oldObject as VirtualMachineInstance, instance);
}

async function sizingOf(vm: VirtualMachine, { client, signal }: ReviewContext) {
  const { instancetype, preference } = vm.spec;
  if (instancetype === undefined && preference === undefined) return {};
  const found: SizingObject[] = [];
  for (const type of SIZINGS) {
    const namespace = type.namespaced ? { namespace: vm.metadata.namespace } : {};
    const { items } = await client.list(type, { signal, ...namespace });
    found.push(...items);
  }
  const { sizing } = resolveSizing(vm, found, []);
  // A machine that has used a type keeps it, though the type is gone.
  const { instancetypeRef, preferenceRef } = vm.status ?? {};
  const used = [
    [instancetype, instancetypeRef],
    [preference, preferenceRef],
  ].every(([named, known]) => named === undefined || named.name === known?.name);
  return 'problem' in sizing && used ? {} : sizing;
}

async function reviewMigration(
  { uid, operation, object, namespace = '' }: ReviewRequest,
  { client, signal }: ReviewContext,
): Promise<ReviewResponse> {
  if (operation !== 'CREATE') return admitted(uid);
  const migration = object as Migration;
  const key = { namespace, name: migration.spec.vmiName };
  const vmi = await client.find(VIRTUAL_MACHINE_INSTANCES, key, { signal });
  const { items } = await client.list(MIGRATIONS, { signal, namespace });
  const message = migrationRefusal(
    migration,
    vmi as VirtualMachineInstance | undefined,
    items as unknown as Migration[],
  );
  return refused(uid, message === undefined ? [] : [{ field: 'spec.vmiName', message }]);
}

async function reviewEviction(
  { uid, name = '', namespace = '', dryRun }: ReviewRequest,
  { client, signal }: ReviewContext,
): Promise<ReviewResponse> {
  const pod = (await client.find(LAUNCHER_PODS, { namespace, name }, { signal })) as Pod | undefined;
  const owner = pod?.metadata.ownerReferences?.find(({ kind }) => kind === 'VirtualMachineInstance');
  if (pod === undefined || owner === undefined) return admitted(uid);
  const key = { namespace, name: owner.name };
  const vmi = (await client.find(VIRTUAL_MACHINE_INSTANCES, key, { signal })) as
    | VirtualMachineInstance
    | undefined;
  const labelSelector = `${LAUNCHER_SELECTOR},kubevirt.io/created-by=${owner.uid}`;
  const { items } = await client.list(LAUNCHER_PODS, { signal, namespace, labelSelector });
  const answer = answerEviction(
    vmi?.metadata.uid === owner.uid ? vmi : undefined,
    pod,
    items as unknown as Pod[],
  );
  if (answer.allowed) return admitted(uid);
  if (answer.evacuationNodeName !== undefined && dryRun !== true) {
    const status = { evacuationNodeName: answer.evacuationNodeName };
    await client.patch(VIRTUAL_MACHINE_INSTANCES, key, { status }, { signal });
  }
  return tooManyRequests(uid, answer.message ?? '');
}
