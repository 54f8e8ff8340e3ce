import type { ApiClient } from '../../runtime/api-client.ts';
import { isNotFound } from '../../runtime/api-error.ts';
import { WaitingError } from '../../runtime/controller.ts';
import { type MachineCaches, VIRTUAL_MACHINES } from './caches.ts';

/** How long the caches of KubeVirt's objects are waited for before looking again. */
const SYNC_RETRY_MS = 500;

/** Whether there is KubeVirt in the cluster, and whether what it has is known yet. */
export class KubeVirtPresence {
  readonly #client: ApiClient;
  readonly #caches: MachineCaches;
  readonly #scope: { readonly namespace?: string };

  constructor(client: ApiClient, caches: MachineCaches, namespace: string | undefined) {
    this.#client = client;
    this.#caches = caches;
    this.#scope = namespace === undefined ? {} : { namespace };
  }

  /** Asks the API server until the cache was filled once. */
  async isMissing(signal: AbortSignal): Promise<boolean> {
    if (this.#caches.virtualMachines.hasSynced) return false;
    try {
      await this.#client.pages(VIRTUAL_MACHINES, { ...this.#scope, signal, pageSize: 1 }).next();
      return false;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }

  /** Throws a WaitingError while a cache is still to be filled: what is not there yet would be made anew. */
  throwUnlessSynced(): void {
    const { virtualMachines, instances, pods, configMaps, claims, revisions } = this.#caches;
    const caches = [virtualMachines, instances, pods, configMaps, claims, revisions];
    if (caches.every(({ hasSynced }) => hasSynced)) return;
    throw new WaitingError('NotSynced', 'the caches of virtual machines are not filled yet', SYNC_RETRY_MS);
  }
}
