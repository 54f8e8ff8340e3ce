import { MANAGER_MACHINE } from '../../api/names.ts';
import type { VirtualMachine } from '../../kubevirt/types.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { isAlreadyExists } from '../../runtime/api-error.ts';
import type { KubeObject, Stored } from '../../runtime/objects.ts';
import { CONFIG_MAPS, type Resource } from '../../runtime/resources.ts';
import type { Action } from './actions.ts';
import {
  CLAIMS,
  VIRTUAL_MACHINE_INSTANCES,
  VIRTUAL_MACHINE_SUBRESOURCES,
  VIRTUAL_MACHINES,
} from './caches.ts';
import { CONTROLLER_REVISIONS, type ControllerRevision } from './revision.ts';

/** What is to be remembered of an action until the caches show it. */
export type Effect =
  | { readonly kind: 'machine'; readonly object: Stored<VirtualMachine> }
  | { readonly kind: 'revision'; readonly object: Stored<ControllerRevision> }
  /** A claim of the name was there, made by somebody else: it is used as it is. */
  | { readonly kind: 'claimTaken'; readonly name: string };

/**
 * Does one action. What the cache was wrong about comes back as a Conflict, and is decided anew: every
 * change is tied to the uid of the object that it was decided for.
 */
export async function applyAction(
  client: ApiClient,
  namespace: string,
  action: Action,
  signal: AbortSignal,
): Promise<Effect | undefined> {
  const fieldManager = MANAGER_MACHINE;
  switch (action.kind) {
    case 'createRevision': {
      const made = await createUnlessThere(client, CONTROLLER_REVISIONS, action.revision, signal);
      return made === undefined ? undefined : { kind: 'revision', object: made };
    }
    case 'numberRevision': {
      const key = { namespace, name: action.name };
      const patch = { metadata: { uid: action.uid }, revision: action.number };
      const object = await client.patch(CONTROLLER_REVISIONS, key, patch, { signal, fieldManager });
      return { kind: 'revision', object };
    }
    case 'createConfigMap':
      // Named by owner and content, and immutable: one that is there is the same.
      await createUnlessThere(client, CONFIG_MAPS, action.configMap, signal);
      return undefined;
    case 'createClaim': {
      const made = await createUnlessThere(client, CLAIMS, action.claim, signal);
      return made === undefined ? { kind: 'claimTaken', name: action.claim.metadata.name } : undefined;
    }
    case 'ownClaim': {
      const { name, resourceVersion, ownerReferences } = action;
      const patch = { metadata: { resourceVersion, ownerReferences } };
      await client.patch(CLAIMS, { namespace, name }, patch, { signal, fieldManager });
      return undefined;
    }
    case 'applyMachine': {
      const { vm, uid } = action;
      // Without force, a virtual machine that somebody made since we looked is not taken over: a conflict.
      // With it, fields that somebody changed are taken back, on the very object that we know.
      const object = uid === undefined ? vm : { ...vm, metadata: { ...vm.metadata, uid } };
      const force = uid !== undefined;
      return {
        kind: 'machine',
        object: await client.apply(VIRTUAL_MACHINES, object, { signal, fieldManager, force }),
      };
    }
    case 'restartInstance':
      await client.subresource(VIRTUAL_MACHINE_SUBRESOURCES, { namespace, name: action.name }, 'restart', {
        signal,
        method: 'PUT',
        body: {},
      });
      return undefined;
    case 'deleteInstance':
      await remove(client, VIRTUAL_MACHINE_INSTANCES, namespace, action, signal);
      return undefined;
    case 'deleteMachine':
      await remove(client, VIRTUAL_MACHINES, namespace, action, signal, 'Foreground');
      return undefined;
    case 'deleteRevision':
      await remove(client, CONTROLLER_REVISIONS, namespace, action, signal);
      return undefined;
    case 'deleteClaim':
      await remove(client, CLAIMS, namespace, action, signal);
      return undefined;
    case 'deleteConfigMap':
      await remove(client, CONFIG_MAPS, namespace, action, signal);
      return undefined;
  }
}

async function createUnlessThere<T extends KubeObject>(
  client: ApiClient,
  type: Resource<T>,
  object: T,
  signal: AbortSignal,
): Promise<Stored<T> | undefined> {
  try {
    return await client.create(type, object, { signal, fieldManager: MANAGER_MACHINE });
  } catch (error) {
    if (isAlreadyExists(error)) return undefined;
    throw error;
  }
}

async function remove(
  client: ApiClient,
  type: Resource<KubeObject>,
  namespace: string,
  { name, uid }: { readonly name: string; readonly uid: string },
  signal: AbortSignal,
  propagation?: 'Foreground',
): Promise<void> {
  const how = propagation === undefined ? {} : { propagation };
  await client.delete(type, { namespace, name }, { signal, preconditions: { uid }, ...how });
}
