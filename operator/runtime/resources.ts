import type { V1ConfigMap, V1Job, V1Lease, V1Namespace, V1Pod, V1Secret } from '@kubernetes/client-node';
import type { KubeObject, ObjectMeta, Wire } from './objects.ts';

/** A kind as the API server addresses it. `T` is the shape of its objects. */
export interface Resource<T extends KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set; carries the type. */
  readonly __object?: T;
}

export function resource<T extends KubeObject>(
  definition: Omit<Resource<T>, '__object' | 'namespaced'> & { readonly namespaced?: boolean },
): Resource<T> {
  return { namespaced: true, ...definition };
}

/** `apiVersion` of the resource's objects. */
export function apiVersionOf(type: Resource<KubeObject>): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** `plural.group`, as kubectl writes it; for metrics, logs and messages. */
export function resourceName(type: Resource<KubeObject>): string {
  return type.group === '' ? type.plural : `${type.plural}.${type.group}`;
}

/** What the generated types make optional, and every object has. */
type Known<T> = Omit<T, 'apiVersion' | 'kind' | 'metadata'> & KubeObject;

export type Job = Known<Wire<V1Job>>;
export type Pod = Known<Wire<V1Pod>>;
export type ConfigMap = Known<Wire<V1ConfigMap>>;
export type Secret = Known<Wire<V1Secret>>;
export type Lease = Known<Wire<V1Lease>>;
export type Namespace = Known<Wire<V1Namespace>>;

/** An object of which only its metadata was asked for (`PartialObjectMetadata`). */
export interface MetadataOnly extends KubeObject {
  readonly metadata: ObjectMeta;
}

export const JOBS = resource<Job>({ group: 'batch', version: 'v1', plural: 'jobs', kind: 'Job' });
export const PODS = resource<Pod>({ group: '', version: 'v1', plural: 'pods', kind: 'Pod' });
export const CONFIG_MAPS = resource<ConfigMap>({
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
});
export const SECRETS = resource<Secret>({ group: '', version: 'v1', plural: 'secrets', kind: 'Secret' });
export const LEASES = resource<Lease>({
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
});
export const NAMESPACES = resource<Namespace>({
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
});
