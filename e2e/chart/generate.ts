/**
 * `node e2e/chart/generate.ts` writes what of the chart is made of something else: values.schema.json,
 * README.md, the dashboards and docs/metrics.md; with `--check` it writes nothing and exits with 1 if a file differs.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { load } from 'js-yaml';
import { DASHBOARDS } from './dashboards/all.ts';
import { dashboardJson } from './dashboards/dashboard.ts';
import { metricsPage } from './metric-list.ts';
import { chartReadme } from './readme.ts';
import { CHART } from './render.ts';
import { schemaDocument } from './schema-document.ts';
import { describedValues } from './values-comments.ts';

/** Every generated file: path below the chart, and content. */
async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(join(CHART, 'values.yaml'), 'utf8');
  const values = describedValues(text);
  const defaults = load(text) as Readonly<Record<string, unknown>>;
  return new Map([
    ['../../docs/metrics.md', metricsPage()],
    ['values.schema.json', `${JSON.stringify(schemaDocument(values), undefined, 2)}\n`],
    ['README.md', chartReadme(values, defaults)],
    ...Object.entries(DASHBOARDS).map(
      ([name, dashboard]) =>
        [`dashboards/${name}.json`, `${JSON.stringify(dashboardJson(dashboard), undefined, 2)}\n`] as const,
    ),
  ]);
}

const check = process.argv.includes('--check');
let different = 0;
for (const [path, content] of await generatedFiles()) {
  const file = join(CHART, path);
  const present = await readFile(file, 'utf8').catch(() => undefined);
  if (present === content) continue;
  different += 1;
  if (check) {
    process.stderr.write(`${path} of the chart is not what it is made of; run: node e2e/chart/generate.ts\n`);
    continue;
  }
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  process.stdout.write(`${path}\n`);
}
process.exitCode = check && different > 0 ? 1 : 0;
