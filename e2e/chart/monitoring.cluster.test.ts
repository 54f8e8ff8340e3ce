import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import {
  type Artifact,
  createNamespace,
  eventually,
  image,
  imageReady,
  kubectl,
  linuxkitConfig,
  linuxkitImage,
  linuxkitMachine,
  machineReady,
  REGISTRY,
  within,
} from '../path/fixtures.ts';
import { silentReporter } from '../progress/reporter.ts';
import { OPERATOR_NAMESPACE, RELEASE } from '../stack/chart.ts';
import { ensureTools } from '../tools/tools.ts';
import { DASHBOARDS } from './dashboards/all.ts';
import { Prometheus, type ScrapeTarget } from './prometheus.ts';
import { render } from './render.ts';

const NAMESPACE = 'monitoring';
const VALUES = { metrics: { prometheusRule: { enabled: true }, podMonitor: { enabled: true } } };

let folder: string;
let prometheus: Prometheus;

/** Addresses of what the PodMonitors select, with the labels that they add. */
async function targets(): Promise<readonly ScrapeTarget[]> {
  const { items } = await kubectl.json<{
    items: readonly {
      readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly nodeName: string;
        readonly containers: readonly {
          readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
        }[];
      };
      readonly status: { readonly podIP: string };
    }[];
  }>([`--namespace=${OPERATOR_NAMESPACE}`, 'get', 'pods'], within(20));
  const monitors = (await render(inject('stack').helm, VALUES, within(60))).filter(
    ({ kind }) => kind === 'PodMonitor',
  );
  return monitors.flatMap(({ spec }) => {
    const { selector, podMetricsEndpoints } = spec as {
      readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
      readonly podMetricsEndpoints: readonly {
        readonly port: string;
        readonly relabelings: readonly { readonly targetLabel: string; readonly replacement?: string }[];
      }[];
    };
    const selected = items.filter(({ metadata }) =>
      Object.entries(selector.matchLabels).every(([name, value]) => metadata.labels[name] === value),
    );
    return selected.flatMap((pod) =>
      podMetricsEndpoints.map(({ port, relabelings }) => {
        const ports = pod.spec.containers.flatMap((container) => container.ports ?? []);
        const number = ports.find(({ name }) => name === port)?.containerPort;
        const job = relabelings.find(({ targetLabel }) => targetLabel === 'job')?.replacement ?? '';
        return {
          address: `${pod.status.podIP}:${number}`,
          labels: { job, namespace: OPERATOR_NAMESPACE, pod: pod.metadata.name, node: pod.spec.nodeName },
        };
      }),
    );
  });
}

beforeAll(async () => {
  const tools = await ensureTools(['prometheus'], silentReporter, within(3_000));
  folder = await mkdtemp(join(tmpdir(), 'monitoring-'));
  const [rule] = (await render(inject('stack').helm, VALUES, within(60))).filter(
    ({ kind }) => kind === 'PrometheusRule',
  );
  prometheus = await Prometheus.start(
    tools.prometheus,
    folder,
    { targets: await targets(), rules: rule?.['spec'] as object },
    within(90),
  );
}, 3_200_000);

afterAll(async () => {
  await prometheus[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test('something happens that can be measured', async () => {
  await createNamespace(NAMESPACE);
  const broken = linuxkitConfig('x', (config) => {
    config.init = [`${REGISTRY}/linuxkit/nothing:1`];
  });
  await kubectl.apply(
    [
      linuxkitImage(NAMESPACE, 'web', { config: linuxkitConfig('one') }),
      linuxkitImage(NAMESPACE, 'broken', { config: broken }),
      linuxkitMachine(NAMESPACE, 'web'),
    ],
    within(30),
  );
  const { status } = await imageReady(NAMESPACE, 'web');
  await machineReady(NAMESPACE, 'web', status?.artifact as Artifact);
  await eventually('the broken build to fail', 120, async () => {
    const { status } = await image(NAMESPACE, 'broken');
    return status?.lastFailure;
  });
}, 600_000);

test('every target is scraped, managers and boot registry', async () => {
  const up = await eventually('every target to be up', 60, async () => {
    const samples = await prometheus.query('up', within(10));
    return samples.length > 0 && samples.every(({ value }) => value[1] === '1') ? samples : undefined;
  });
  const scraped = (job: string) => up.filter(({ metric }) => metric['job'] === `${RELEASE}-${job}`).length;
  expect({ managers: scraped('manager'), registries: scraped('boot-registry') }).toEqual({
    managers: 2,
    registries: 1,
  });
});

test('every rule is evaluated, and no alert is raised by an operator that is well', async () => {
  const rules = await eventually('every rule to be evaluated', 60, async () => {
    const found = await prometheus.rules(within(10));
    return found.every(({ health }) => health !== 'unknown') ? found : undefined;
  });
  expect(rules.length).toBeGreaterThan(10);
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  expect(rules.filter(({ state }) => state === 'firing').map(({ name }) => name)).toEqual([]);
});

test('everything that a rule asks for is there to be found', async () => {
  const selectors = new Set(
    (await prometheus.rules(within(10))).flatMap(({ query }) => query.match(/[a-z_]+\{[^}]*\}/g) ?? []),
  );
  expect(selectors.size).toBeGreaterThan(10);
  const found = await Promise.all(
    [...selectors].map(async (selector) => ({
      selector,
      samples: await prometheus.query(selector, within(20)),
    })),
  );
  expect(found.filter(({ samples }) => samples.length === 0).map(({ selector }) => selector)).toEqual([]);
});

test('every query of every dashboard finds something', async () => {
  const queries = Object.values(DASHBOARDS).flatMap(({ title, rows }) =>
    rows.flatMap(({ panels }) =>
      panels.flatMap((panel) =>
        panel.queries.map(({ expr }) => ({ panel: `${title}: ${panel.title}`, expr: filled(expr) })),
      ),
    ),
  );
  expect(queries.length).toBeGreaterThan(50);
  let last: readonly object[] = [];
  const empty = await eventually('every panel to have data', 90, async () => {
    const found: { panel: string; expr: string }[] = [];
    for (const query of queries) {
      const samples = await prometheus.query(query.expr, within(20));
      if (samples.length === 0) found.push(query);
    }
    last = found;
    return found.length === 0 ? found : undefined;
  }).catch(() => last);
  expect(empty).toEqual([]);
}, 180_000);

/** As Grafana fills in its variables. */
function filled(expr: string): string {
  return expr
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$namespace', OPERATOR_NAMESPACE)
    .replaceAll('$job', `${RELEASE}-manager`);
}
