import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalCluster } from '../cluster/local-cluster.ts';
import { run } from '../process/run.ts';
import { createReporter } from '../progress/reporter.ts';
import { OPERATOR_NAMESPACE } from './chart.ts';
import type { Kubectl } from './kubectl.ts';
import { bringUpWithoutOperator } from './stack.ts';

const NAME = 'existing';
const DEMO = join(import.meta.dirname, '..', 'demo.ts');
const signal = AbortSignal.timeout(1_200_000);
let cluster: LocalCluster;
let kubectl: Kubectl;

beforeAll(async () => {
  await LocalCluster.remove(NAME, signal);
  ({ cluster, kubectl } = await bringUpWithoutOperator(NAME, createReporter(), signal));
});

afterAll(async () => {
  await LocalCluster.remove(NAME);
});

async function demo(...args: readonly string[]): Promise<string> {
  return await run(process.execPath, [DEMO, ...args], { signal, timeout: 600_000 });
}

test('the demo wants to know where the images of a given cluster go', async () => {
  await expect(demo('--kubeconfig', cluster.kubeconfig)).rejects.toMatchObject({
    log: expect.stringContaining('--kubeconfig needs --registry'),
  });
  expect(await kubectl.run(['get', 'namespaces', '-o', 'name'], signal)).not.toContain(OPERATOR_NAMESPACE);
});

test('the demo boots its machine in a cluster that it is given, from that cluster’s registry', async () => {
  const registry = `${cluster.registry.host}/demo`;
  const output = await demo('--kubeconfig', cluster.kubeconfig, '--registry', `http://${registry}`);

  expect(output).toContain('httpd: serving');
  expect(output).toContain(`export KUBECONFIG=${cluster.kubeconfig}`);
  expect(output).toContain('uninstall linuxkit-operator');
  const images = await kubectl.run(
    ['get', 'pods', '--all-namespaces', '-o', 'jsonpath={.items[*].spec.containers[*].image}'],
    signal,
  );
  expect(images).toContain(`${registry}/linuxkit-operator`);
  const image = await kubectl.json<{
    readonly spec: { readonly config: { readonly init: readonly string[] } };
  }>(['get', 'linuxkitimage', 'minimal'], signal);
  for (const each of image.spec.config.init) expect(each.startsWith(`${registry}/`)).toBe(true);
}, 900_000);
