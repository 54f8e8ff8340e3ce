/**
 * `npm run demo`: a cluster on this machine with the operator in it, an image built and a machine
 * booted. `-- --down` stops it. Run again, it reuses what runs.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LocalCluster } from './cluster/local-cluster.ts';
import { stopOwnEngine } from './docker/engine.ts';
import { createReporter } from './progress/reporter.ts';
import { consoleLine, readableMachine } from './stack/console.ts';
import { bringUp } from './stack/stack.ts';

const NAME = 'demo';
const EXAMPLE = join(import.meta.dirname, '..', 'examples', 'minimal.yaml');
/** What the service of the example prints on the machine's console. */
const SERVICE_LINE = /httpd: serving/;
const USAGE = `usage: npm run demo [-- --down]

Brings up a cluster on this machine, installs the operator, builds examples/minimal.yaml and boots it.

  --down   stop it, leaving nothing behind but the cache of compiled tools
  --help   show this
`;

const { values } = parseArgs({ options: { down: { type: 'boolean' }, help: { type: 'boolean' } } });
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => interrupted.abort(new Error(`stopped by ${name}`)));
const { signal } = interrupted;
const reporter = createReporter();

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
  const { cluster, kubectl } = await bringUp({ name: NAME }, reporter, signal);
  await reporter.step('apply examples/minimal.yaml', async () => {
    await kubectl.run(['apply', '-f', EXAMPLE], signal);
  });
  await reporter.step('build the image', async () => {
    await kubectl.run(['wait', '--for=condition=Ready', '--timeout=300s', 'linuxkitimage/minimal'], signal);
  });
  const console = await reporter.step('boot the machine', async (step) => {
    await kubectl.run(['wait', '--for=condition=Ready', '--timeout=300s', 'linuxkitmachine/minimal'], signal);
    step.detail('waiting for the service to print its line');
    return await consoleLine(kubectl, 'default', 'minimal', SERVICE_LINE, signal);
  });

  const shown = await readableMachine(kubectl, signal);
  process.stdout.write(`
${console.tail}

${shown}
Up in ${Math.round((performance.now() - started) / 1000)} s. What next:

  export KUBECONFIG=${cluster.kubeconfig} PATH=${kubectl.folder}:$PATH
  kubectl get lki,lkm                                   images and machines
  kubectl edit lki minimal                              change a service, and watch the machine follow
  kubectl logs -f ${console.pod} -c guest-console-log   the machine's console
  kubectl -n linuxkit-system logs deploy/linuxkit-operator
  npm run demo -- --down                                stop all of it
`);
}
