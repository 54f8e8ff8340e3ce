/**
 * `npm run demo`: a cluster on this machine with the operator in it, an image built and a machine
 * booted. `-- --down` stops it. Run again, it reuses what runs.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LocalCluster } from './cluster/local-cluster.ts';
import { stopOwnEngine } from './docker/engine.ts';
import { createReporter } from './progress/reporter.ts';
import { OPERATOR_NAMESPACE, RELEASE } from './stack/chart.ts';
import { consoleLine, imagesAndMachines } from './stack/console.ts';
import { parseGivenRegistry, useExisting } from './stack/existing-cluster.ts';
import type { Kubectl } from './stack/kubectl.ts';
import { bringUp } from './stack/stack.ts';

const NAME = 'demo';
/** The registry that the example names: the local cluster's own. */
const EXAMPLE_REGISTRY = 'registry.test:5000';
const EXAMPLE = join(import.meta.dirname, '..', 'examples', 'minimal.yaml');
/** What the service of the example prints on the machine's console. */
const SERVICE_LINE = /httpd: serving/;
const USAGE = `usage: npm run demo [-- OPTION…]

Brings up a cluster on this machine, installs the operator, builds examples/minimal.yaml and boots it.

  --down                stop it, leaving nothing behind but the cache of compiled tools
  --kubeconfig FILE     use that cluster, which has KubeVirt, instead of a local one
  --registry HOST/PATH  with --kubeconfig: where to push images that the cluster can pull;
                        begins with http:// where the registry has no TLS
  --help                show this
`;

const { values } = parseArgs({
  options: {
    down: { type: 'boolean' },
    help: { type: 'boolean' },
    kubeconfig: { type: 'string' },
    registry: { type: 'string' },
  },
});
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => interrupted.abort(new Error(`stopped by ${name}`)));
const { signal } = interrupted;
const reporter = createReporter();
const registry = values.registry === undefined ? undefined : parseGivenRegistry(values.registry);

if (values.help === true) process.stdout.write(USAGE);
else {
  try {
    await (values.down === true ? down() : up());
  } catch (error) {
    // The reporter has shown what failed, the end of its log and what to do.
    process.exitCode = 1;
    if (signal.aborted) process.stderr.write(`${String(signal.reason)}\n`);
    else if (process.env['DEBUG'] !== undefined)
      process.stderr.write(`${(error as Error).stack ?? String(error)}\n`);
  }
}

async function down(): Promise<void> {
  await reporter.step('stop the demo cluster', async () => await LocalCluster.remove(NAME, signal));
  await reporter.step('stop the Docker engine, if it is ours', async () => await stopOwnEngine(signal));
}

async function up(): Promise<void> {
  const started = performance.now();
  const kubectl = await install();
  await reporter.step('apply examples/minimal.yaml', async () => {
    const example = await readFile(EXAMPLE, 'utf8');
    await kubectl.apply(
      [registry === undefined ? example : example.replaceAll(EXAMPLE_REGISTRY, registry.path)],
      signal,
    );
  });
  await reporter.step('build the image', async () => {
    await kubectl.run(['wait', '--for=condition=Ready', '--timeout=300s', 'linuxkitimage/minimal'], signal);
  });
  const shown = await reporter.step('boot the machine', async (step) => {
    await kubectl.run(['wait', '--for=condition=Ready', '--timeout=300s', 'linuxkitmachine/minimal'], signal);
    step.detail('waiting for the service to print its line');
    return await consoleLine(kubectl, 'default', 'minimal', SERVICE_LINE, signal);
  });
  process.stdout.write(`
${shown.tail}

${await imagesAndMachines(kubectl, signal)}
Up in ${Math.round((performance.now() - started) / 1000)} s. What next:

  export KUBECONFIG=${kubectl.kubeconfig} PATH=${kubectl.folder}:$PATH
  kubectl get lki,lkm                                  images and machines
  kubectl edit lki minimal                             change a service, and watch the machine follow
  kubectl logs -f ${shown.pod} -c guest-console-log    the machine's console
  kubectl get lki minimal -o jsonpath={.status.artifact}   what was built, and where its objects are
  kubectl -n ${OPERATOR_NAMESPACE} get pods            the operator
${
  values.kubeconfig === undefined
    ? '  npm run demo -- --down                               stop all of it'
    : `  kubectl delete lkm,lki minimal && helm --namespace ${OPERATOR_NAMESPACE} uninstall ${RELEASE}   remove all of it`
}
`);
}

async function install(): Promise<Kubectl> {
  const { kubeconfig } = values;
  if (kubeconfig === undefined) return (await bringUp({ name: NAME }, reporter, signal)).kubectl;
  if (registry === undefined)
    throw usageError('--kubeconfig needs --registry: the cluster pulls images from there');
  return await useExisting({ kubeconfig, registry }, reporter, signal);
}

function usageError(message: string): Error {
  process.stderr.write(`${message}\n${USAGE}`);
  return new Error(message);
}
