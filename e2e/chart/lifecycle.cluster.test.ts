import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalCluster } from '../cluster/local-cluster.ts';
import { linuxkitConfig, linuxkitImage, linuxkitMachine } from '../path/fixtures.ts';
import { run } from '../process/run.ts';
import { waitFor } from '../process/wait.ts';
import { createReporter } from '../progress/reporter.ts';
import { chartSettings, OPERATOR_NAMESPACE, RELEASE } from '../stack/chart.ts';
import { bringUp, type Stack } from '../stack/stack.ts';
import { ensureTools } from '../tools/tools.ts';
import { CHART } from './render.ts';

const signal = AbortSignal.timeout(3_000_000);
const INSTANCE = `app.kubernetes.io/instance=${RELEASE}`;
const registries = { insecureRegistries: ['registry.test:5000'] };
const NAME = 'lifecycle';
let stack: Stack;
let helm4: string;
let folder: string;
let previous: string;

beforeAll(async () => {
  // A run that was killed may have left its cluster.
  await LocalCluster.remove(NAME, signal);
  stack = await bringUp({ name: NAME }, createReporter(), signal);
  helm4 = (await ensureTools(['helm4'], createReporter(), signal)).helm4;
  folder = await mkdtemp(join(tmpdir(), 'chart-lifecycle-'));
  previous = join(folder, 'previous');
  await cp(CHART, previous, { recursive: true });
  const file = join(previous, 'Chart.yaml');
  const chart = await readFile(file, 'utf8');
  await writeFile(file, chart.replace(/^version: .*$/m, 'version: 0.0.1'));
}, 2_400_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await stack.cluster.stop();
}, 120_000);

async function helm(binary: string, args: readonly string[], values?: object): Promise<string> {
  return await run(
    binary,
    [
      ...args,
      `--kubeconfig=${stack.kubectl.kubeconfig}`,
      `--namespace=${OPERATOR_NAMESPACE}`,
      ...(values === undefined ? [] : ['--values=-']),
    ],
    { signal, timeout: 600_000, ...(values === undefined ? {} : { input: JSON.stringify(values) }) },
  );
}

async function get(resource: string, selector: string, path: string): Promise<string> {
  const text = await stack.kubectl.run(
    ['get', resource, `--namespace=default`, `--selector=${selector}`, '-o', `jsonpath=${path}`],
    signal,
  );
  return text.trim();
}

/** What changes if a machine is touched: its instance, the pod, and how often containers began. */
async function traces(): Promise<object> {
  return {
    instance: await get('virtualmachineinstances', 'linuxkit.dev/machine=web', '{.items[*].metadata.uid}'),
    pod: await get(
      'pods',
      'linuxkit.dev/machine=web',
      '{range .items[*]}{.metadata.uid}{.status.containerStatuses[*].restartCount}{.status.startTime}{end}',
    ),
    machine: await get('virtualmachines', 'linuxkit.dev/machine=web', '{.items[*].metadata.generation}'),
  };
}

/** Until the operator that runs now has looked at the machine and is content. */
async function settled(): Promise<void> {
  await stack.kubectl.run(
    ['annotate', 'linuxkitmachine/web', `linuxkit.dev/test-look=${crypto.randomUUID()}`, '--overwrite'],
    signal,
  );
  await stack.kubectl.run(
    ['wait', '--for=condition=Ready', 'linuxkitimage/web', 'linuxkitmachine/web', '--timeout=240s'],
    signal,
  );
}

/** Everything with the release's label, in its namespace and outside of any. Helm leaves a test's pod behind, for its log. */
async function leftovers(): Promise<readonly string[]> {
  const kinds =
    'all,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets';
  const inside = await stack.kubectl.run(
    ['get', kinds, `--namespace=${OPERATOR_NAMESPACE}`, `--selector=${INSTANCE}`, '-o', 'name'],
    signal,
  );
  const outside = await stack.kubectl.run(
    ['get', 'clusterroles,clusterrolebindings', `--selector=${INSTANCE}`, '-o', 'name'],
    signal,
  );
  return `${inside}${outside}`.split('\n').filter((line) => line !== '' && !/^pod\/.*-self-test$/.test(line));
}

/** Values with which the chart's own test finds a kernel and an init here. */
function tested(more: Readonly<Record<string, unknown>>): object {
  const { kernel, init } = linuxkitConfig('x');
  const tests = { config: { kernel, init: init.slice(0, 1) }, timeout: '5m' };
  return chartSettings(stack.images, { builds: registries, tests, ...more });
}

async function expectTestToPass(binary: string, namespace: string): Promise<void> {
  const output = await helm(binary, ['test', RELEASE, '--logs', '--timeout=6m']);
  expect(output).toMatch(/Phase: +Succeeded/);
  for (const kind of ['LinuxKitImage', 'LinuxKitMachine'])
    expect(output).toMatch(new RegExp(`^${kind} ${namespace}/\\S+ is Ready after \\d+ s$`, 'm'));
  expect(output).toContain('removed what was made');
}

async function released(): Promise<void> {
  const left = async () => ((await leftovers()).length === 0 ? true : undefined);
  await waitFor('the release to be gone', left, { signal, timeout: 90_000 });
}

test('Helm 3 installs it, and its own test builds and boots a tiny image', async () => {
  await helm(stack.helm, ['upgrade', RELEASE, CHART, '--wait', '--timeout=5m'], tested({}));
  await expectTestToPass(stack.helm, OPERATOR_NAMESPACE);
}, 900_000);

test('with Roles in one namespace it works there, and has next to nothing elsewhere', async () => {
  await stack.kubectl.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'images' } }], signal);
  const values = tested({ watchNamespace: 'images', rbac: { aggregate: false } });
  await helm(stack.helm, ['upgrade', RELEASE, CHART, '--wait', '--timeout=5m'], values);
  await expectTestToPass(stack.helm, 'images');
  const rules = await stack.kubectl.run(
    ['get', 'clusterroles', `--selector=${INSTANCE}`, '-o', 'jsonpath={.items[*].rules[*].resources[*]}'],
    signal,
  );
  expect(rules).toBe('tokenreviews');
}, 900_000);

test('Helm 3 uninstalls it and leaves the CRDs alone', async () => {
  await helm(stack.helm, ['uninstall', RELEASE, '--wait', '--timeout=3m']);
  await released();
  const crds = await stack.kubectl.run(
    ['get', 'crd', 'linuxkitimages.linuxkit.dev', 'linuxkitmachines.linuxkit.dev', '-o', 'name'],
    signal,
  );
  expect(crds.trim().split('\n').length).toBe(2);
}, 300_000);

test('Helm 4 installs the chart before this one over CRDs that were kept, and a machine boots', async () => {
  const values = chartSettings(stack.images, { builds: registries, manager: { replicas: 1 } });
  await helm(helm4, ['install', RELEASE, previous, '--wait', '--timeout=5m'], values);
  await stack.kubectl.apply(
    [
      linuxkitImage('default', 'web', { config: linuxkitConfig('one') }),
      linuxkitMachine('default', 'web', { terminationGracePeriodSeconds: 1 }),
    ],
    signal,
  );
  await settled();
}, 900_000);

test('an upgrade, and a rollback, leave the machine alone', async () => {
  const before = await traces();
  const values = chartSettings(stack.images, { builds: registries });
  await helm(helm4, ['upgrade', RELEASE, CHART, '--wait', '--timeout=5m'], values);
  await settled();
  expect(await replicas()).toBe('2');
  expect(await traces()).toEqual(before);

  await helm(helm4, ['rollback', RELEASE, '1', '--wait', '--timeout=5m']);
  await settled();
  expect(await replicas()).toBe('1');
  expect(await traces()).toEqual(before);
}, 900_000);

async function replicas(): Promise<string> {
  return await stack.kubectl.run(
    [
      'get',
      `deployment/${RELEASE}-manager`,
      `--namespace=${OPERATOR_NAMESPACE}`,
      '-o',
      'jsonpath={.status.readyReplicas}',
    ],
    signal,
  );
}

test('Helm 4 uninstalls it, and the machine runs on', async () => {
  const before = await traces();
  await helm(helm4, ['uninstall', RELEASE, '--wait', '--timeout=3m']);
  await released();
  expect(await traces()).toEqual(before);
  const ready = await get('virtualmachineinstances', 'linuxkit.dev/machine=web', '{.items[*].status.phase}');
  expect(ready).toBe('Running');
}, 300_000);
