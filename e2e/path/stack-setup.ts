import { LocalCluster } from '../cluster/local-cluster.ts';
import { createReporter } from '../progress/reporter.ts';
import { bringUp } from '../stack/stack.ts';

const NAME = 'test';
/** Besides the cluster's own registry, those that tests run on this machine to see how builds fail. */
const REGISTRIES = ['registry.test:5000', 'host.test:5997', 'host.test:5998', 'host.test:5999'];
/** A registry that there is not. */
const MIRRORS = { 'mirrored.test': ['registry.test:5000'] };
const DEADLINE_MS = 1_700_000;

declare module 'vitest' {
  interface ProvidedContext {
    stack: StackContext;
  }
}

/** What tests need to reach the stack; plain data, since every test file runs in a process of its own. */
export interface StackContext {
  readonly cluster: string;
  readonly kubectl: string;
  readonly helm: string;
  readonly kubeconfig: string;
  readonly operatorImage: string;
}

/** Brings the stack up once for all files of the cluster lane, and stops it after the last. */
export async function setup(project: {
  provide(key: 'stack', value: StackContext): void;
}): Promise<() => Promise<void>> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  // Set while working on tests: the cluster is used as it is found, and left running.
  const keep = process.env['LINUXKIT_TEST_CLUSTER'] === 'keep';
  // A run that was killed may have left its cluster: tests begin with a new one.
  if (!keep) await LocalCluster.remove(NAME, signal);
  const { cluster, kubectl, helm, images } = await bringUp(
    {
      name: NAME,
      // By its address the node's own runtime finds the registry, too.
      values: ({ registry }) => ({
        builds: { insecureRegistries: [...REGISTRIES, registry.host], registryMirrors: MIRRORS },
      }),
    },
    createReporter(),
    signal,
  );
  project.provide('stack', {
    cluster: cluster.name,
    kubectl: kubectl.binary,
    helm,
    kubeconfig: cluster.kubeconfig,
    operatorImage: images.operator,
  });
  return async () => {
    if (!keep) await cluster.stop();
  };
}
