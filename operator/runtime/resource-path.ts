import type { Selection } from './api-options.ts';
import { type KubeObject, keyText, type ObjectKey, type Stored } from './objects.ts';
import { apiVersionOf, type Resource, resourceName } from './resources.ts';

/** Path of a resource, an object or a subresource (Kubernetes API concepts, "Resource URIs"), without leading slash. */
export function pathOf(type: Resource<KubeObject>, key: Partial<ObjectKey>, subresource?: string): string {
  const parts = type.group === '' ? ['api', type.version] : ['apis', type.group, type.version];
  if (key.namespace !== undefined) parts.push('namespaces', encodeURIComponent(key.namespace));
  parts.push(type.plural);
  if (key.name !== undefined) parts.push(encodeURIComponent(key.name));
  if (subresource !== undefined) parts.push(...subresource.split('/').map(encodeURIComponent));
  return parts.join('/');
}

/** What a call is about, for its errors: `get jobs.batch default/web`. */
export function told(verb: string, type: Resource<KubeObject>, key: Partial<ObjectKey>): string {
  const name = key.name === undefined ? '' : ` ${keyText({ ...key, name: key.name })}`;
  return `${verb} ${resourceName(type)}${name}`;
}

/** The part of a query that selects objects. */
export function selectors(selection: Selection): Record<string, string | undefined> {
  return { labelSelector: selection.labelSelector, fieldSelector: selection.fieldSelector };
}

/** Items of a list come without `apiVersion` and `kind`, and metadata-only ones with the kind of their envelope. */
export function named<T extends KubeObject>(type: Resource<KubeObject>, object: Stored<T>): Stored<T> {
  const apiVersion = apiVersionOf(type);
  if (object.apiVersion === apiVersion && object.kind === type.kind) return object;
  return { ...object, apiVersion, kind: type.kind };
}
