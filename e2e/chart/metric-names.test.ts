import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { DASHBOARDS } from './dashboards/all.ts';
import { managerMetrics, registryMetrics } from './metric-list.ts';
import { CHART } from './render.ts';

/** Names of time series that can be asked for, histograms' parts included; `up` is Prometheus' own. */
function seriesNames(): ReadonlySet<string> {
  const names = new Set(['up']);
  for (const { name, type } of [...managerMetrics(), ...registryMetrics()]) {
    if (type === 'histogram') for (const part of ['bucket', 'sum', 'count']) names.add(`${name}_${part}`);
    else names.add(name);
  }
  return names;
}

/** Names in front of a `{`: every selector that is written here has labels. */
function selectedNames(expr: string): readonly string[] {
  return [...expr.matchAll(/([a-zA-Z_:][a-zA-Z0-9_:]*)\{/g)].map(([, name = '']) => name);
}

test('dashboards and alerts ask about metrics that exist', () => {
  const known = seriesNames();
  const alerts = load(readFileSync(join(CHART, 'files', 'alerts.yaml'), 'utf8')) as {
    readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[];
  };
  const expressions = [
    ...alerts.groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
    ...Object.values(DASHBOARDS).flatMap(({ rows }) =>
      rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(({ expr }) => expr))),
    ),
  ];
  const asked = new Set(expressions.flatMap(selectedNames));
  expect(asked.size).toBeGreaterThan(40);
  expect([...asked].filter((name) => !known.has(name))).toEqual([]);
});

/** Labels whose values are of a fixed set, or of the program and the cluster's nodes; none is the name of an object. */
const BOUNDED = new Set([
  'arch',
  'code',
  'controller',
  // Whether it is the wanted one.
  'digest',
  'direction',
  'host',
  'kind',
  'le',
  'major',
  'method',
  'minor',
  'name',
  'patch',
  'phase',
  'priority',
  'quantile',
  'reason',
  'resource',
  'result',
  'route',
  'space',
  'state',
  'type',
  'version',
]);

test.each([
  ['a manager', managerMetrics],
  ['a boot registry', registryMetrics],
])('no metric of %s has a label without bounds', (_, metrics) => {
  const labels = metrics().flatMap((metric) => metric.labels.map((label) => `${metric.name} ${label}`));
  expect(labels.length).toBeGreaterThan(3);
  expect(labels.filter((label) => !BOUNDED.has(label.split(' ')[1] ?? ''))).toEqual([]);
});
