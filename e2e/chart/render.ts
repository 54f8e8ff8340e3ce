import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { run } from '../process/run.ts';

/** The chart's folder. */
export const CHART = join(import.meta.dirname, '..', '..', 'charts', 'linuxkit-operator');

/** A rendered object, as far as tests ask about every one. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export interface RenderOptions {
  readonly release?: string;
  readonly namespace?: string;
  /** Of Kubernetes, without a `v`. */
  readonly kubeVersion?: string;
}

/** What `helm template` makes of the chart with `values`; hooks are part of it. */
export async function renderText(
  helm: string,
  values: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  options: RenderOptions = {},
): Promise<string> {
  const { release = 'linuxkit-operator', namespace = 'linuxkit-system', kubeVersion = '1.36.0' } = options;
  return await run(
    helm,
    ['template', release, CHART, '--namespace', namespace, '--kube-version', kubeVersion, '--values', '-'],
    { signal, input: JSON.stringify(values), timeout: 60_000 },
  );
}

/** The same, as objects. */
export async function render(
  helm: string,
  values: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  options: RenderOptions = {},
): Promise<readonly Rendered[]> {
  const documents = loadAll(await renderText(helm, values, signal, options));
  return documents.filter((document) => document !== null && document !== undefined) as Rendered[];
}
