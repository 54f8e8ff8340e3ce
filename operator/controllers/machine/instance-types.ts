import type { LinuxKitMachine } from '../../api/machine.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { isForbidden } from '../../runtime/api-error.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type KubeObject, keyText } from '../../runtime/objects.ts';
import { type Resource, resource } from '../../runtime/resources.ts';

/** What of KubeVirt's instance types (instancetype.kubevirt.io/v1beta1) tells how much memory a guest gets. */
interface InstanceType extends KubeObject {
  readonly spec?: { readonly memory?: { readonly guest?: string } };
}

const KINDS: Readonly<Record<string, Resource<InstanceType>>> = {
  VirtualMachineInstancetype: instanceTypes('VirtualMachineInstancetype', true),
  VirtualMachineClusterInstancetype: instanceTypes('VirtualMachineClusterInstancetype', false),
};

function instanceTypes(kind: string, namespaced: boolean): Resource<InstanceType> {
  const plural = `${kind.toLowerCase()}s`;
  return resource({ group: 'instancetype.kubevirt.io', version: 'v1beta1', plural, kind, namespaced });
}

/** How long an instance type is believed to be as it was read; one that changed is seen that much later. */
export const INSTANCE_TYPE_TTL_MS = 60_000;

/** The memory that instance types give guests. Read one by one, and only those that machines name: clusters have many. */
export class InstanceTypes {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly memory: string | undefined; readonly until: number }>();

  constructor(client: ApiClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /**
   * The memory that the instance type of a machine gives its guests, such as `2Gi`. Undefined where none is named, where it
   * is not there (KubeVirt says so itself), where it is named as it was once, and where we may not read it: a
   * manager of one namespace has no right to what belongs to the cluster.
   */
  async memoryFor({ metadata, spec }: LinuxKitMachine, signal: AbortSignal): Promise<string | undefined> {
    const named = spec.instancetype;
    if (named === undefined || named.revisionName !== undefined) return undefined;
    const type = KINDS[named.kind];
    if (type === undefined) return undefined;
    const key = { name: named.name, ...(type.namespaced ? { namespace: metadata.namespace } : {}) };
    const id = `${type.kind} ${keyText(key)}`;
    const now = this.#clock.monotonic();
    for (const [old, { until }] of this.#known) if (until <= now) this.#known.delete(old);
    const known = this.#known.get(id);
    if (known !== undefined) return known.memory;
    const memory = await this.#read(type, key, signal);
    this.#known.set(id, { memory, until: now + INSTANCE_TYPE_TTL_MS });
    return memory;
  }

  async #read(
    type: Resource<InstanceType>,
    key: { readonly name: string; readonly namespace?: string },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      return (await this.#client.find(type, key, { signal }))?.spec?.memory?.guest;
    } catch (error) {
      if (isForbidden(error)) return undefined;
      throw error;
    }
  }
}
