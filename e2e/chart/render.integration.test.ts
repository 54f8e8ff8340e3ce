import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { registerBootRegistry } from '../../operator/cli/boot-registry.ts';
import { addManagerOptions } from '../../operator/cli/manager/settings.ts';
import { registerSelfTest } from '../../operator/cli/self-test.ts';
import { run } from '../process/run.ts';
import { silentReporter } from '../progress/reporter.ts';
import { ensureTools } from '../tools/tools.ts';
import { ensureObjectSchemas, KUBERNETES_VERSIONS } from './object-schemas.ts';
import { podTemplates } from './pod-templates.ts';
import { CHART, render, renderText } from './render.ts';
import { VALUES_CASES, type ValuesCase } from './values-cases.ts';

const signal = AbortSignal.timeout(3_600_000);
const CASES = Object.entries(VALUES_CASES) as [ValuesCase, object][];
const SCHEMA_NAME = '{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json';
let tools: Readonly<Record<'helm' | 'helm4' | 'kubeconform' | 'helm-unittest', string>>;

beforeAll(async () => {
  tools = await ensureTools(['helm', 'helm4', 'kubeconform', 'helm-unittest'], silentReporter, signal);
}, 3_600_000);

const values = (name: ValuesCase) => VALUES_CASES[name] as Readonly<Record<string, unknown>>;

describe.each(CASES)('values: %s', (name) => {
  test.each(['helm', 'helm4'] as const)('%s finds nothing to say against the chart', async (helm) => {
    await run(
      tools[helm],
      ['lint', '--strict', '--quiet', '--kube-version', '1.36.0', '--values', '-', CHART],
      { signal, input: JSON.stringify(VALUES_CASES[name]) },
    );
  });

  test('the rendering is what was reviewed, and the same again, under Helm 3 and 4', async () => {
    const text = await renderText(tools.helm, values(name), signal);
    await expect(withoutDashboards(text)).toMatchFileSnapshot(`golden/${name}.yaml`);
    expect(await renderText(tools.helm, values(name), signal)).toBe(text);
    expect(byName(await render(tools.helm4, values(name), signal))).toEqual(
      byName(await render(tools.helm, values(name), signal)),
    );
    expect(text).not.toMatch(/[ \t]$/m);
  });

  test('every object is one of every Kubernetes version that is supported', async () => {
    const schemas = await ensureObjectSchemas(signal);
    const text = await renderText(tools.helm, { ...values(name), crds: { enabled: true } }, signal);
    for (const version of KUBERNETES_VERSIONS) {
      const output = await run(
        tools.kubeconform,
        [
          '-strict',
          '-summary',
          '-output=json',
          `-kubernetes-version=${version}`,
          `-schema-location=${schemas}/${SCHEMA_NAME}`,
          `-schema-location=${schemas}/others/{{.ResourceKind}}{{.KindSuffix}}.json`,
        ],
        { signal, input: text },
      );
      const { summary } = JSON.parse(output) as { readonly summary: Readonly<Record<string, number>> };
      expect({ version, ...summary }).toMatchObject({ version, invalid: 0, errors: 0, skipped: 0 });
      expect(summary['valid']).toBeGreaterThan(10);
    }
  }, 600_000);

  test('every container is started with arguments that its program takes', async () => {
    for (const { containers } of podTemplates(await render(tools.helm, values(name), signal))) {
      for (const { args = [] } of containers) {
        const parse = PROGRAMS[args[0] ?? ''];
        if (parse !== undefined) await parse(args);
      }
    }
  });
});

/** Dashboards are generated and compared as files of their own. */
function withoutDashboards(text: string): string {
  return text.replace(/^(data:\n {2}linuxkit-[a-z]+\.json: \|\n)(?: {4}.*\n|\n)+/gm, '$1    (generated)\n');
}

function byName(
  objects: readonly { readonly kind: string; readonly metadata: { readonly name: string } }[],
): object {
  return objects.toSorted((left, right) =>
    `${left.kind}/${left.metadata.name}` < `${right.kind}/${right.metadata.name}` ? -1 : 1,
  );
}

/** Throws where a program would not start. */
const PROGRAMS: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  manager: async (args) =>
    await parsed(addManagerOptions(new Command().command('manager').action(() => undefined)), args.slice(1)),
  'boot-registry': async (args) => await parsed(registered(registerBootRegistry), args.slice(1)),
  'self-test': async (args) => await parsed(registered(registerSelfTest), args.slice(1)),
};

function registered(register: (program: Command) => void): Command {
  const program = new Command();
  register(program);
  const [command] = program.commands;
  if (command === undefined) throw new Error('nothing was registered');
  return command.action(() => undefined);
}

async function parsed(command: Command, args: readonly string[]): Promise<void> {
  await command.exitOverride().allowExcessArguments(false).parseAsync(args, { from: 'user' });
}

test('the chart sets every flag of the manager that is not for use outside a cluster', async () => {
  const given = new Set<string>();
  for (const [name] of CASES) {
    for (const { containers } of podTemplates(await render(tools.helm, values(name), signal)))
      for (const { args = [] } of containers)
        if (args[0] === 'manager') for (const arg of args) given.add(arg.split('=', 1)[0] ?? '');
  }
  const elsewhere = [
    '--kubeconfig',
    '--context',
    '--namespace',
    '--identity',
    '--health-listen',
    '--artifacts-listen',
    // The chart says it in a file, which may change while the manager runs.
    '--log-level',
  ];
  const flags = addManagerOptions(new Command()).options.map(({ long }) => long ?? '');
  expect(flags.filter((flag) => !given.has(flag) && !elsewhere.includes(flag))).toEqual([]);
});

test('nothing is random and nothing looks into the cluster', async () => {
  const text = await run(
    'grep',
    [
      '-rhoE',
      String.raw`\b(lookup|rand[A-Z]\w*|gen[A-Z]\w*|now|uuidv4|derivePassword)\b *[("$]?`,
      join(CHART, 'templates'),
      '--include=*.yaml',
      '--include=*.tpl',
    ],
    { signal },
  ).catch(() => '');
  expect(text).toBe('');
});

test.each([
  ['an unknown value', { manager: { replica: 2 } }, /replica/],
  ['a wrong type', { manager: { replicas: 'two' } }, /replicas/],
  ['a level that there is not', { manager: { logLevel: 'loud' } }, /logLevel/],
  ['a digest that is none', { image: { digest: 'sha256:12' } }, /digest/],
  ['an endpoint with a path', { storage: { external: { endpoint: 'https://s3/x' } } }, /endpoint/],
  ['a duration without a unit', { builds: { jobTTL: '60' } }, /jobTTL/],
  [
    'both kinds of monitors',
    { metrics: { serviceMonitor: { enabled: true }, podMonitor: { enabled: true } } },
    /twice/,
  ],
])('%s is refused before anything is installed', async (_, wrong, message) => {
  await expect(renderText(tools.helm, wrong, signal)).rejects.toThrow(message);
});

test('a field that Kubernetes does not know is found', async () => {
  const schemas = await ensureObjectSchemas(signal);
  const text = (await renderText(tools.helm, values('default'), signal)).replace('replicas: 2', 'replica: 2');
  const check = run(
    tools.kubeconform,
    ['-strict', '-kubernetes-version=1.36.3', `-schema-location=${schemas}/${SCHEMA_NAME}`],
    { signal, input: text },
  );
  await expect(check).rejects.toThrow(/exited with 1/);
});

test('an older Kubernetes is refused', async () => {
  await expect(renderText(tools.helm, {}, signal, { kubeVersion: '1.32.9' })).rejects.toThrow(/kubeVersion/);
});

test('helm-unittest: every template and switch', async () => {
  const suites = (await readdir(join(CHART, 'tests'))).filter((file) => file.endsWith('_test.yaml'));
  expect(suites.length).toBeGreaterThan(5);
  const output = await run(tools['helm-unittest'], ['--strict', '--color=false', CHART], {
    signal,
    timeout: 300_000,
  });
  expect(output).toMatch(new RegExp(`Test Suites: +${suites.length} passed, ${suites.length} total`));
});
