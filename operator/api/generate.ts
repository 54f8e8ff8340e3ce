import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dump } from 'js-yaml';
import { customResourceDefinitions } from './crd.ts';
import { withTables } from './documentation.ts';

/**
 * `node operator/api/generate.ts` writes the CustomResourceDefinitions, once plain below `crds/`
 * and once as templates of the chart, and the tables of the pages on the two kinds; with `--check`
 * it writes nothing and exits with 1 if a file differs from what it would write.
 */

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const HEADER = '# Generated from operator/api by operator/api/generate.ts. Do not edit.\n';

/** Pages written by hand around generated tables. */
const PAGES = ['docs/linuxkitimage.md', 'docs/linuxkitmachine.md'];

/** Every generated file: path from the repository's root, and content. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const [name, definition] of customResourceDefinitions()) {
    const plain = yaml(definition);
    files.set(`crds/${name}`, HEADER + plain);
    files.set(`charts/linuxkit-operator/templates/crds/${name}`, HEADER + chartTemplate(plain));
  }
  for (const page of PAGES) files.set(page, withTables(await readFile(join(ROOT, page), 'utf8')));
  return files;
}

function yaml(value: unknown): string {
  return dump(value, { lineWidth: 110, noRefs: true });
}

/**
 * Helm never upgrades what lies in a chart's `crds/`, hence a template; `keep` leaves the CRDs, and
 * with them everybody's images and machines, in place when the release is uninstalled, unless the
 * chart's values say otherwise.
 */
function chartTemplate(plain: string): string {
  const name = '\nmetadata:\n';
  if (plain.includes('{{')) throw new Error('a description holds "{{", which Helm would take for a template');
  const keep =
    '  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n';
  const annotated = plain.replace(name, `${name}${keep}`);
  return `{{- if .Values.crds.enabled }}\n${annotated}{{- end }}\n`;
}

async function main(check: boolean): Promise<number> {
  let different = 0;
  for (const [path, content] of await generatedFiles()) {
    const file = join(ROOT, path);
    const present = await readFile(file, 'utf8').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (present === content) continue;
    different += 1;
    if (check) {
      process.stderr.write(
        `${relative(ROOT, file)} is not what operator/api says; run: node operator/api/generate.ts\n`,
      );
    } else {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
      process.stdout.write(`${relative(ROOT, file)}\n`);
    }
  }
  return check && different > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.includes('--check'));
