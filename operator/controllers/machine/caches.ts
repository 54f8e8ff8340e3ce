import type { MachineStatus } from '../../api/machine.ts';
import { GROUP, LABEL_MACHINE, MACHINE_KIND, MACHINE_PLURAL, VERSION } from '../../api/names.ts';
import {
  VIRTUAL_MACHINE_INSTANCE_RESOURCE,
  VIRTUAL_MACHINE_RESOURCE,
  VIRTUAL_MACHINE_SUBRESOURCE,
  type VirtualMachine,
  type VirtualMachineInstance,
} from '../../kubevirt/types.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { Informer, type InformerOptions } from '../../runtime/informer.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { WatchMetrics } from '../../runtime/metrics.ts';
import { type KubeObject, keyText, type Stored } from '../../runtime/objects.ts';
import {
  CONFIG_MAPS,
  type ConfigMap,
  PODS,
  type Pod,
  type Resource,
  resource,
} from '../../runtime/resources.ts';
import { IMAGES, type ImageObject, MACHINES, type MachineObject } from '../image/objects.ts';
import { CONTROLLER_REVISIONS, type ControllerRevision } from './revision.ts';

export const VIRTUAL_MACHINES: Resource<VirtualMachine> = VIRTUAL_MACHINE_RESOURCE;
export const VIRTUAL_MACHINE_INSTANCES: Resource<VirtualMachineInstance> = VIRTUAL_MACHINE_INSTANCE_RESOURCE;
export const VIRTUAL_MACHINE_SUBRESOURCES: Resource<KubeObject> = VIRTUAL_MACHINE_SUBRESOURCE;

/** Only their metadata is read. */
export const CLAIMS = resource<KubeObject>({
  group: '',
  version: 'v1',
  plural: 'persistentvolumeclaims',
  kind: 'PersistentVolumeClaim',
});

/** What is applied to a machine's status subresource, and comes back. */
type MachineStatusPatch = MachineObject & { readonly status: MachineStatus };
export const MACHINE_STATUSES = resource<MachineStatusPatch>({
  group: GROUP,
  version: VERSION,
  plural: MACHINE_PLURAL,
  kind: MACHINE_KIND,
});

/** Index of claims: `NAMESPACE/NAME` of the machine that they are labelled with. */
export const BY_MACHINE = 'machine';

/** The local copies that machine decisions are made from. */
export interface MachineCaches {
  readonly machines: Informer<MachineObject>;
  readonly images: Informer<ImageObject>;
  /** All of them: one that is not ours must be known to be there. Of those, only metadata is kept. */
  readonly virtualMachines: Informer<VirtualMachine>;
  readonly instances: Informer<VirtualMachineInstance>;
  readonly pods: Informer<Pod>;
  /** Metadata of those that we made. */
  readonly configMaps: Informer<ConfigMap>;
  /** Metadata of those that carry our label, whoever owns them. */
  readonly claims: Informer<KubeObject>;
  readonly revisions: Informer<ControllerRevision>;
}

export interface MachineCacheOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly logger: Logger;
  readonly metrics?: WatchMetrics;
}

/** Makes the caches; `images` and `machines` may be shared with another controller. */
export function machineCaches(
  client: ApiClient,
  options: MachineCacheOptions,
  shared: Partial<Pick<MachineCaches, 'images' | 'machines'>> = {},
): MachineCaches {
  const { namespace, logger, metrics } = options;
  const cache = <T extends KubeObject>(type: Resource<T>, own: InformerOptions<T> = {}): Informer<T> =>
    new Informer(client, type, {
      ...(namespace === undefined ? {} : { namespace }),
      ...(metrics === undefined ? {} : { metrics }),
      logger,
      ...own,
    });
  return {
    machines: shared.machines ?? cache(MACHINES),
    images: shared.images ?? cache(IMAGES),
    virtualMachines: cache(VIRTUAL_MACHINES, { transform: withoutForeignContent }),
    instances: cache(VIRTUAL_MACHINE_INSTANCES, { labelSelector: LABEL_MACHINE }),
    pods: cache(PODS, { labelSelector: LABEL_MACHINE, transform: withoutSpec }),
    configMaps: cache(CONFIG_MAPS, { labelSelector: LABEL_MACHINE, metadataOnly: true }),
    claims: cache(CLAIMS, {
      labelSelector: LABEL_MACHINE,
      metadataOnly: true,
      indexes: { [BY_MACHINE]: machineLabelKeys },
    }),
    revisions: cache(CONTROLLER_REVISIONS, { labelSelector: LABEL_MACHINE }),
  };
}

function machineLabelKeys({ metadata }: KubeObject): readonly string[] {
  const name = metadata.labels?.[LABEL_MACHINE];
  const { namespace } = metadata;
  return name === undefined || namespace === undefined ? [] : [keyText({ namespace, name })];
}

/** Of somebody else's virtual machine only the name and the owner matter. */
function withoutForeignContent(vm: Stored<VirtualMachine>): Stored<VirtualMachine> {
  if (vm.metadata.ownerReferences?.some((owner) => owner.apiVersion.startsWith(`${GROUP}/`)) === true)
    return vm;
  const { apiVersion, kind, metadata } = vm;
  return { apiVersion, kind, metadata } as Stored<VirtualMachine>;
}

function withoutSpec(pod: Stored<Pod>): Stored<Pod> {
  const { spec: _, ...rest } = pod;
  return rest;
}
