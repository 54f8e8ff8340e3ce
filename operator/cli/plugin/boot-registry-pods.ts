import { PODS, type Pod } from '../../runtime/resources.ts';
import { PluginError } from './error.ts';
import { youngestFirst } from './pod-log.ts';
import type { Session } from './session.ts';

/** As the chart labels its pods. Their app.kubernetes.io/name is a value of the chart. */
const SELECTOR = 'app.kubernetes.io/component=boot-registry';

/** Where a boot registry listens. */
export interface BootRegistryPod {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/** Any pod that is ready: all of them serve the same. Throws PluginError `NotFound`. */
export async function findBootRegistry(
  session: Session,
  namespace: string,
  port: number,
): Promise<BootRegistryPod> {
  const { items } = await session.client.list(PODS, {
    namespace,
    labelSelector: SELECTOR,
    signal: session.signal,
  });
  const pod = youngestFirst(items.filter(isReady))[0];
  if (pod !== undefined) return { namespace, pod: pod.metadata.name, port };
  throw new PluginError(
    'NotFound',
    `namespace ${namespace} has no boot registry that is ready (pods ${SELECTOR}); name the operator's with --operator-namespace`,
  );
}

export function isReady({ metadata, status }: Pod): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return metadata.deletionTimestamp === undefined && ready?.status === 'True';
}
