import { join } from 'node:path';
import { run } from '../process/run.ts';

export const OPERATOR_NAMESPACE = 'linuxkit-system';
export const RELEASE = 'linuxkit-operator';
const CHART = join(import.meta.dirname, '..', '..', 'charts', 'linuxkit-operator');

/** `repository:tag` taken apart. */
function repositoryAndTag(image: string): { readonly repository: string; readonly tag: string } {
  const colon = image.lastIndexOf(':');
  return { repository: image.slice(0, colon), tag: image.slice(colon + 1) };
}

export interface ChartImages {
  readonly operator: string;
  readonly storage: string;
}

/** Installs or upgrades the chart as a user would, and waits until everything of it is ready. */
export async function installChart(
  helm: string,
  kubeconfig: string,
  images: ChartImages,
  values: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<void> {
  const settings = {
    image: repositoryAndTag(images.operator),
    storage: { embedded: { image: repositoryAndTag(images.storage), persistence: { enabled: false } } },
    ...values,
  };
  await run(
    helm,
    [
      'upgrade',
      '--install',
      RELEASE,
      CHART,
      '--kubeconfig',
      kubeconfig,
      '--namespace',
      OPERATOR_NAMESPACE,
      '--create-namespace',
      '--wait',
      '--timeout',
      '5m',
      '--values',
      '-',
    ],
    {
      signal,
      timeout: 400_000,
      input: JSON.stringify(settings),
      advice: `see kubectl --namespace ${OPERATOR_NAMESPACE} get pods,events`,
    },
  );
}
