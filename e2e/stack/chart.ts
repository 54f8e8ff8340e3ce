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

/** The values that an installation in a test gives to the chart, `values` over them. */
export function chartSettings(
  images: ChartImages,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return {
    image: repositoryAndTag(images.operator),
    storage: { embedded: { image: repositoryAndTag(images.storage), persistence: { enabled: false } } },
    ...values,
  };
}

/** Installs or upgrades the chart as a user would, and waits until everything of it is ready. */
export async function installChart(
  helm: string,
  kubeconfig: string,
  images: ChartImages,
  values: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<void> {
  await settleRelease(helm, kubeconfig, signal);
  await run(
    helm,
    [
      'upgrade',
      '--install',
      RELEASE,
      CHART,
      ...where(kubeconfig),
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
      input: JSON.stringify(chartSettings(images, values)),
      advice: `see kubectl --namespace ${OPERATOR_NAMESPACE} get pods,events`,
    },
  );
}

/** Helm refuses to touch a release that it was killed over: a first installation is undone, an upgrade taken back. */
async function settleRelease(helm: string, kubeconfig: string, signal: AbortSignal): Promise<void> {
  const listed = await run(
    helm,
    ['list', '--pending', '--filter', `^${RELEASE}$`, '--output', 'json', ...where(kubeconfig)],
    { signal },
  );
  const [pending] = JSON.parse(listed) as readonly { readonly status: string }[];
  if (pending === undefined) return;
  const action = pending.status === 'pending-install' ? 'uninstall' : 'rollback';
  await run(helm, [action, RELEASE, '--wait', '--timeout', '3m', ...where(kubeconfig)], {
    signal,
    timeout: 240_000,
  });
}

function where(kubeconfig: string): readonly string[] {
  return ['--kubeconfig', kubeconfig, '--namespace', OPERATOR_NAMESPACE];
}
