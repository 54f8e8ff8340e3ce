import type { Rendered } from './render.ts';

/** A pod that the chart makes, itself or through a workload. */
export interface PodTemplate {
  readonly owner: string;
  readonly component: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly containers: readonly { readonly name: string; readonly args?: readonly string[] }[];
}

/** Every pod of a rendering. */
export function podTemplates(objects: readonly Rendered[]): readonly PodTemplate[] {
  return objects.flatMap((object) => {
    const spec = object['spec'] as { readonly template?: { readonly spec: PodTemplate['spec'] } } | undefined;
    const pod = object.kind === 'Pod' ? (object['spec'] as PodTemplate['spec']) : spec?.template?.spec;
    if (pod === undefined) return [];
    return [
      {
        owner: `${object.kind}/${object.metadata.name}`,
        component: object.metadata.labels?.['app.kubernetes.io/component'] ?? '',
        spec: pod,
        containers: pod['containers'] as PodTemplate['containers'],
      },
    ];
  });
}
