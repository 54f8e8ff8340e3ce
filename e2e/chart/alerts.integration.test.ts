import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../process/run.ts';
import { silentReporter } from '../progress/reporter.ts';
import { ensureTools } from '../tools/tools.ts';
import { ALERT_CASES, type AlertCase } from './alert-cases.ts';
import { render } from './render.ts';

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const RUNBOOKS = join(import.meta.dirname, '..', '..', 'docs', 'runbooks');
const MANAGER = { job: 'linuxkit-operator-manager', namespace: 'linuxkit-system' };
const REGISTRY = { job: 'linuxkit-operator-boot-registry', namespace: 'linuxkit-system' };

const signal = AbortSignal.timeout(3_600_000);
let tools: Readonly<Record<'helm' | 'promtool', string>>;
let folder: string;
let rules: readonly AlertRule[];

beforeAll(async () => {
  tools = await ensureTools(['helm', 'promtool'], silentReporter, signal);
  folder = await mkdtemp(join(tmpdir(), 'alerts-'));
  const [rule] = (
    await render(tools.helm, { metrics: { prometheusRule: { enabled: true } } }, signal)
  ).filter(({ kind }) => kind === 'PrometheusRule');
  const spec = rule?.['spec'] as { readonly groups: readonly { readonly rules: readonly AlertRule[] }[] };
  rules = spec.groups.flatMap((group) => group.rules);
  await writeFile(join(folder, 'rules.yaml'), dump(spec));
}, 3_600_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',');
}

/** One test of promtool: what it is fed, and which alerts of that name fire. */
function promtoolTest(
  { alert, after }: AlertCase,
  series: Readonly<Record<string, string>>,
  fires: readonly Readonly<Record<string, string>>[],
): object {
  return {
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({
      series: name.replace('JOB', labelText(MANAGER)).replace('REGISTRY', labelText(REGISTRY)),
      values,
    })),
    promql_expr_test: [
      {
        expr: `ALERTS{alertname="${alert}",alertstate="firing"}`,
        eval_time: after,
        exp_samples: fires.map((labels) => ({ labels: `ALERTS{${labelText(labels)}}`, value: 1 })),
      },
    ],
  };
}

async function promtool(tests: readonly object[]): Promise<void> {
  const file = join(folder, `${crypto.randomUUID()}.yaml`);
  await writeFile(file, dump({ rule_files: ['rules.yaml'], evaluation_interval: '1m', tests }));
  await run(tools.promtool, ['test', 'rules', file], { signal, cwd: folder, timeout: 60_000 });
}

test('Prometheus takes the rules, templates of their texts included', async () => {
  const output = await run(tools.promtool, ['check', 'rules', '--lint=all', '--lint-fatal', 'rules.yaml'], {
    signal,
    cwd: folder,
  });
  expect(output).toContain(`${rules.length} rules found`);
});

test('every alert has a case, a severity, texts, and a runbook; and no runbook is left over', async () => {
  const names = rules.map((rule) => rule.alert).sort();
  expect(ALERT_CASES.map((each) => each.alert).sort()).toEqual(names);
  const pages = (await readdir(RUNBOOKS)).filter((file) => file !== 'README.md');
  expect(pages.sort()).toEqual(names.map((name) => `${name}.md`));
  const index = await readFile(join(RUNBOOKS, 'README.md'), 'utf8');
  for (const { alert, labels, annotations } of rules) {
    expect(['critical', 'warning', 'info']).toContain(labels['severity']);
    expect(Object.keys(annotations).sort()).toEqual(['description', 'runbook_url', 'summary']);
    expect(annotations['runbook_url']).toMatch(new RegExp(`/docs/runbooks/${alert}\\.md$`));
    expect(index).toContain(`(${alert}.md)`);
    const page = await readFile(join(RUNBOOKS, `${alert}.md`), 'utf8');
    expect(page.startsWith(`# ${alert}\n`)).toBe(true);
    for (const heading of ['Meaning', 'Impact', 'Diagnosis', 'Mitigation']) {
      expect(page).toMatch(new RegExp(`^## ${heading}\n\n\\S`, 'm'));
    }
  }
});

describe.each(ALERT_CASES)('$alert', (alertCase) => {
  test('fires', async () => {
    const rule = rules.find(({ alert }) => alert === alertCase.alert);
    const { MANAGER: manager, REGISTRY: registry, ...labels } = alertCase.labels;
    const fires = {
      alertname: alertCase.alert,
      alertstate: 'firing',
      ...rule?.labels,
      ...(manager === undefined ? {} : MANAGER),
      ...(registry === undefined ? {} : REGISTRY),
      ...labels,
    };
    const situations = [alertCase.firing, ...(alertCase.also ?? [])];
    await promtool(situations.map((series) => promtoolTest(alertCase, series, [fires])));
  });

  test('keeps silent', async () => {
    expect(alertCase.silent.length).toBeGreaterThan(0);
    await promtool(alertCase.silent.map((series) => promtoolTest(alertCase, series, [])));
  });
});
