import { MANAGER_MACHINE } from '../../api/names.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { isAlreadyExists } from '../../runtime/api-error.ts';
import { CONFIG_MAPS } from '../../runtime/resources.ts';
import type { Action } from './actions.ts';
import { VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINE_SUBRESOURCES, VIRTUAL_MACHINES } from './caches.ts';

/**
 * Does one action. What the cache was wrong about comes back as a Conflict, and is decided anew: every
 * change is tied to the uid of the object that it was decided for.
 */
export async function applyAction(
  client: ApiClient,
  namespace: string,
  action: Action,
  signal: AbortSignal,
): Promise<void> {
  switch (action.kind) {
    case 'createConfigMap':
      try {
        await client.create(CONFIG_MAPS, action.configMap, { signal, fieldManager: MANAGER_MACHINE });
      } catch (error) {
        // Named by owner and content, and immutable: one that is there is the same.
        if (!isAlreadyExists(error)) throw error;
      }
      return;
    case 'applyMachine': {
      const { vm, uid } = action;
      // Without force, a virtual machine that somebody made since we looked is not taken over: a conflict.
      // With it, fields that somebody changed are taken back, on the very object that we know.
      const object = uid === undefined ? vm : { ...vm, metadata: { ...vm.metadata, uid } };
      await client.apply(VIRTUAL_MACHINES, object, {
        signal,
        fieldManager: MANAGER_MACHINE,
        force: uid !== undefined,
      });
      return;
    }
    case 'deleteInstance':
      await client.delete(
        VIRTUAL_MACHINE_INSTANCES,
        { namespace, name: action.name },
        { signal, preconditions: { uid: action.uid } },
      );
      return;
    case 'restartInstance':
      await client.subresource(VIRTUAL_MACHINE_SUBRESOURCES, { namespace, name: action.name }, 'restart', {
        signal,
        method: 'PUT',
        body: {},
      });
      return;
    case 'deleteMachine':
      await client.delete(
        VIRTUAL_MACHINES,
        { namespace, name: action.name },
        { signal, preconditions: { uid: action.uid }, propagation: 'Foreground' },
      );
      return;
    case 'deleteConfigMap':
      await client.delete(
        CONFIG_MAPS,
        { namespace, name: action.name },
        { signal, preconditions: { uid: action.uid } },
      );
      return;
  }
}
