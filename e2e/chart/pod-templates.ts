import type { Rendered } from './render.ts';

type PodSpec = Readonly<Record<string, unknown>>;

/** A pod that the chart makes, itself or through a workload. */
export interface PodTemplate {
  readonly owner: string;
  readonly component: string;
  readonly spec: PodSpec;
  readonly containers: readonly { readonly name: string; readonly args?: readonly string[] }[];
}

interface WorkloadSpec {
  readonly template?: { readonly spec: PodSpec };
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
}

/** Every pod of a rendering, with the volumes that a StatefulSet's controller would add. */
export function podTemplates(objects: readonly Rendered[]): readonly PodTemplate[] {
  return objects.flatMap((object) => {
    const workload = object['spec'] as WorkloadSpec | undefined;
    const pod = object.kind === 'Pod' ? (object['spec'] as PodSpec) : workload?.template?.spec;
    if (pod === undefined) return [];
    const claims = (workload?.volumeClaimTemplates ?? []).map(({ metadata: { name } }) => ({
      name,
      persistentVolumeClaim: { claimName: name },
    }));
    return [
      {
        owner: `${object.kind}/${object.metadata.name}`,
        component: object.metadata.labels?.['app.kubernetes.io/component'] ?? '',
        spec: { ...pod, volumes: [...((pod['volumes'] ?? []) as readonly object[]), ...claims] },
        containers: pod['containers'] as PodTemplate['containers'],
      },
    ];
  });
}
