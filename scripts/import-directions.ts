/**
 * Checks which folder of operator/ imports which: one way only, as docs/architecture.md tells.
 * Prints each offence as `file:line` and exits 1 if there is one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** A folder may import itself, what lies beside it in `operator/`, and what stands here: folders, or single files of them. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  api: ['linuxkit/schema.ts', 'linuxkit/rules.ts', 'linuxkit/trust.ts'],
  linuxkit: [],
  oci: [],
  initramfs: [],
  storage: ['oci', 'api', 'build/record.ts'],
  build: ['linuxkit', 'oci', 'initramfs', 'storage', 'api'],
  bootregistry: ['storage', 'oci', 'build/record.ts'],
  kubevirt: ['api'],
  telemetry: [],
  runtime: ['telemetry', 'api'],
  controllers: [
    'api',
    'kubevirt',
    'storage',
    'runtime',
    'telemetry',
    'oci/types.ts',
    'build/record.ts',
    'build/request.ts',
    'build/salts.ts',
  ],
  cli: [
    'api',
    'linuxkit',
    'oci',
    'initramfs',
    'storage',
    'build',
    'bootregistry',
    'kubevirt',
    'telemetry',
    'runtime',
    'controllers',
  ],
};

/** What every folder may use. */
const COMMON: ReadonlySet<string> = new Set(['errors.ts', 'buffer.ts']);

const root = join(import.meta.dirname, '..', 'operator');
const IMPORT = /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;

interface Edge {
  readonly from: string;
  readonly line: number;
  readonly to: string;
  readonly typeOnly: boolean;
}

function edgesOf(file: string): Edge[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(IMPORT)].flatMap((match) => {
    const specifier = match[1] ?? match[2];
    if (specifier === undefined || !specifier.startsWith('.')) return [];
    const to = relative(root, join(root, dirname(file), specifier));
    const line = text.slice(0, match.index).split('\n').length + 1;
    return [{ from: file, line, to, typeOnly: /^\s*(?:import|export)\s+type\s/.test(match[0]) }];
  });
}

function refusal({ from, to }: Edge): string | undefined {
  const folder = from.split('/')[0] ?? '';
  if (!from.includes('/')) return undefined;
  if (to.startsWith('..')) return to.startsWith('../package.json') ? undefined : 'leaves operator/';
  if (COMMON.has(to) || to.startsWith(`${folder}/`)) return undefined;
  const allowed = MAY_IMPORT[folder];
  if (allowed === undefined) return `operator/${folder}/ is not a known folder`;
  if (allowed.some((target) => to === target || (!target.endsWith('.ts') && to.startsWith(`${target}/`))))
    return undefined;
  return `operator/${folder}/ may import ${allowed.length === 0 ? 'nothing of ours' : allowed.join(', ')}`;
}

/** First import cycle through values (types vanish at run time), as a list of files. */
function cycleIn(edges: readonly Edge[]): readonly string[] | undefined {
  const next = Map.groupBy(
    edges.filter((edge) => !edge.typeOnly),
    (edge) => edge.from,
  );
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const edge of next.get(file) ?? []) {
      const cycle = visit(edge.to, [...path, file]);
      if (cycle !== undefined) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of next.keys()) {
    const cycle = visit(file, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
);
const edges = files.flatMap(edgesOf);
let offences = 0;
for (const edge of edges) {
  const reason = refusal(edge);
  if (reason === undefined) continue;
  offences += 1;
  console.error(`operator/${edge.from}:${edge.line}: imports ${edge.to}: ${reason}`);
}
const cycle = cycleIn(edges);
if (cycle !== undefined) {
  offences += 1;
  console.error(`import cycle: ${cycle.join(' -> ')}`);
}
process.exitCode = offences === 0 ? 0 : 1;
