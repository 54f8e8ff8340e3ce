import type { ApiClient } from '../../operator/runtime/api-client.ts';
import { Informer } from '../../operator/runtime/informer.ts';
import type { KubeObject } from '../../operator/runtime/objects.ts';
import type { Resource } from '../../operator/runtime/resources.ts';
import {
  CLAIMS,
  LAUNCHER_PODS,
  LAUNCHER_SELECTOR,
  MIGRATIONS,
  REVISIONS,
  SIZINGS,
  VIRTUAL_MACHINE_INSTANCES,
  VIRTUAL_MACHINES,
} from './api/resources.ts';
import type {
  Claim,
  ControllerRevision,
  Migration,
  Pod,
  VirtualMachine,
  VirtualMachineInstance,
} from './api/types.ts';
import { claimNames } from './launcher/volume-sources.ts';
import { REVISION_LABEL } from './machine/revisions.ts';
import type { SizingObject } from './machine/sizing-source.ts';

/** Everything that the stand-in looks at, of all namespaces. */
export interface World {
  readonly vms: readonly VirtualMachine[];
  readonly vmis: readonly VirtualMachineInstance[];
  /** Of instances alone. */
  readonly pods: readonly Pod[];
  readonly migrations: readonly Migration[];
  /** Of the stand-in's own. */
  readonly revisions: readonly ControllerRevision[];
  readonly claims: readonly Claim[];
  readonly sizings: readonly SizingObject[];
}

/** One look by asking the API server for everything: what is not needed is not asked for. */
export async function lookAround(client: ApiClient, signal: AbortSignal): Promise<World> {
  const all = async (type: Resource<KubeObject>, labelSelector?: string): Promise<readonly unknown[]> =>
    (await client.list(type, { signal, ...(labelSelector === undefined ? {} : { labelSelector }) })).items;
  const [vms, vmis, pods, migrations, revisions] = await Promise.all([
    all(VIRTUAL_MACHINES),
    all(VIRTUAL_MACHINE_INSTANCES),
    all(LAUNCHER_PODS, LAUNCHER_SELECTOR),
    all(MIGRATIONS),
    all(REVISIONS, REVISION_LABEL),
  ]);
  const machines = vms as readonly VirtualMachine[];
  const instances = vmis as readonly VirtualMachineInstance[];
  const sized = machines.some(({ spec }) => spec.instancetype !== undefined || spec.preference !== undefined);
  return {
    vms: machines,
    vmis: instances,
    pods: pods as readonly Pod[],
    migrations: migrations as readonly Migration[],
    revisions: revisions as readonly ControllerRevision[],
    claims: instances.some(({ spec }) => claimNames(spec).length > 0)
      ? ((await all(CLAIMS)) as readonly Claim[])
      : [],
    sizings: sized
      ? ((await Promise.all(SIZINGS.map((type) => all(type)))).flat() as readonly SizingObject[])
      : [],
  };
}

/** The same, kept up to date by watching. */
export class WatchedWorld {
  readonly #informers: Readonly<Record<Exclude<keyof World, 'sizings'>, Informer<KubeObject>>>;
  readonly #sizings: readonly Informer<KubeObject>[];

  constructor(client: ApiClient) {
    const informer = (type: Resource<KubeObject>, labelSelector?: string): Informer<KubeObject> =>
      new Informer(client, type, labelSelector === undefined ? {} : { labelSelector });
    this.#informers = {
      vms: informer(VIRTUAL_MACHINES),
      vmis: informer(VIRTUAL_MACHINE_INSTANCES),
      pods: informer(LAUNCHER_PODS, LAUNCHER_SELECTOR),
      migrations: informer(MIGRATIONS),
      revisions: informer(REVISIONS, REVISION_LABEL),
      claims: informer(CLAIMS),
    };
    this.#sizings = SIZINGS.map((type) => informer(type));
  }

  get #all(): readonly Informer<KubeObject>[] {
    return [...Object.values(this.#informers), ...this.#sizings];
  }

  /** Calls back after every change. */
  onChange(handler: () => void): void {
    for (const informer of this.#all) informer.onChange(handler);
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.run(signal)));
  }

  async waitForSync(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.waitForSync(signal)));
  }

  get world(): World {
    const list = (informer: Informer<KubeObject>): readonly unknown[] => informer.list();
    const { vms, vmis, pods, migrations, revisions, claims } = this.#informers;
    return {
      vms: list(vms) as readonly VirtualMachine[],
      vmis: list(vmis) as readonly VirtualMachineInstance[],
      pods: list(pods) as readonly Pod[],
      migrations: list(migrations) as readonly Migration[],
      revisions: list(revisions) as readonly ControllerRevision[],
      claims: list(claims) as readonly Claim[],
      sizings: this.#sizings.flatMap((informer) => list(informer)) as readonly SizingObject[],
    };
  }
}
