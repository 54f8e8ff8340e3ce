import { LABEL_BUILD, LABEL_IMAGE } from '../../api/names.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { Informer, type InformerOptions } from '../../runtime/informer.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { WatchMetrics } from '../../runtime/metrics.ts';
import type { KubeObject, Stored } from '../../runtime/objects.ts';
import { CONFIG_MAPS, type ConfigMap, JOBS, type Job, PODS, type Pod } from '../../runtime/resources.ts';
import { referencedConfigMaps } from './build-hash.ts';
import { IMAGES, type ImageObject, MACHINES, type MachineObject } from './objects.ts';

/** The local copies that image decisions are made from. */
export interface ImageCaches {
  readonly images: Informer<ImageObject>;
  readonly machines: Informer<MachineObject>;
  readonly jobs: Informer<Job>;
  readonly pods: Informer<Pod>;
  /** Metadata alone: that one changed is all we need to know of tenants' ConfigMaps. */
  readonly configMaps: Informer<ConfigMap>;
}

export interface CacheOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly logger: Logger;
  readonly metrics?: WatchMetrics;
}

/** Index of images by `namespace/name` of the ConfigMaps that they name; the API server has checked the spec. */
export const IMAGE_INDEXES = {
  configMap: ({ spec, metadata }: ImageObject): readonly string[] =>
    spec === undefined ? [] : referencedConfigMaps(spec).map((name) => `${metadata.namespace ?? ''}/${name}`),
};

/** Makes the caches; `images` and `machines` may be shared with another controller (with {@link IMAGE_INDEXES}). */
export function imageCaches(
  client: ApiClient,
  options: CacheOptions,
  shared: Partial<Pick<ImageCaches, 'images' | 'machines'>> = {},
): ImageCaches {
  const common = <T extends KubeObject>(own: InformerOptions<T> = {}): InformerOptions<T> => ({
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
    logger: options.logger,
    ...own,
  });
  return {
    images: shared.images ?? new Informer(client, IMAGES, common({ indexes: IMAGE_INDEXES })),
    machines: shared.machines ?? new Informer(client, MACHINES, common()),
    jobs: new Informer(client, JOBS, common<Job>({ labelSelector: LABEL_IMAGE, transform: withoutTemplate })),
    pods: new Informer(client, PODS, common<Pod>({ labelSelector: LABEL_BUILD, transform: withoutSpec })),
    configMaps: new Informer(client, CONFIG_MAPS, common<ConfigMap>({ metadataOnly: true })),
  };
}

/** The template is the greater part of a Job, and nobody here reads it. */
function withoutTemplate(job: Stored<Job>): Stored<Job> {
  const { spec: _, ...rest } = job;
  return rest;
}

function withoutSpec(pod: Stored<Pod>): Stored<Pod> {
  const { spec: _, ...rest } = pod;
  return rest;
}
