import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { withLock } from '../process/lock.ts';
import { run } from '../process/run.ts';
import { cacheFolder } from '../tools/cache.ts';

/** One release of each minor version that the chart names as supported. */
export const KUBERNETES_VERSIONS = ['1.33.13', '1.34.4', '1.35.4', '1.36.3'] as const;

/** CRDs of others whose kinds the chart may install: module, version, and files in it. */
const OTHERS = [
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    files: ['servicemonitors', 'podmonitors', 'prometheusrules'].map(
      (plural) => `example/prometheus-operator-crd/monitoring.coreos.com_${plural}.yaml`,
    ),
  },
  {
    module: 'github.com/cert-manager/cert-manager@v1.21.2',
    files: ['certificates', 'issuers'].map((plural) => `deploy/crds/cert-manager.io_${plural}.yaml`),
  },
] as const;

/** Changes when what is made of the sources does. */
const LAYOUT = 'v1';

type Schema = Readonly<Record<string, unknown>>;

/**
 * A folder with a JSON schema for every kind of each Kubernetes version, in the layout that kubeconform
 * looks for (`v1.36.3/deployment-apps-v1.json`), and for the kinds of others below `others/`. They are made
 * from what those projects publish in their Go modules, and kept in the cache.
 */
export async function ensureObjectSchemas(signal: AbortSignal): Promise<string> {
  const parent = join(cacheFolder(), 'object-schemas');
  const sources = JSON.stringify([LAYOUT, KUBERNETES_VERSIONS, OTHERS]);
  const key = createHash('sha256').update(sources).digest('hex').slice(0, 16);
  const folder = join(parent, key);
  await mkdir(parent, { recursive: true });
  await withLock(`${folder}.lock`, signal, async () => {
    if (await exists(folder)) return;
    const staging = await mkdtemp(`${folder}.tmp-`);
    try {
      for (const version of KUBERNETES_VERSIONS) await writeKubernetes(staging, version, signal);
      for (const other of OTHERS) await writeOthers(staging, other, signal);
      await rename(staging, folder);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  });
  return folder;
}

async function exists(folder: string): Promise<boolean> {
  return await readFile(join(folder, 'others', 'certificate-cert-manager-v1.json')).then(
    () => true,
    () => false,
  );
}

/** Files of a Go module, without leaving the module behind. */
async function moduleFiles(
  module: string,
  files: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const cache = await mkdtemp(join(tmpdir(), 'go-module-'));
  try {
    const env = { GOMODCACHE: cache, GOFLAGS: '-modcacherw', GOWORK: 'off' };
    const output = await run('go', ['mod', 'download', '-json', module], {
      signal,
      env,
      cwd: cache,
      timeout: 600_000,
      advice: 'see that the module proxy (go env GOPROXY) can be reached, and run again',
    });
    const { Dir } = JSON.parse(output) as { readonly Dir: string };
    return await Promise.all(files.map(async (file) => await readFile(join(Dir, file), 'utf8')));
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

async function writeKubernetes(folder: string, version: string, signal: AbortSignal): Promise<void> {
  const [text = ''] = await moduleFiles(
    `k8s.io/kubernetes@v${version}`,
    ['api/openapi-spec/swagger.json'],
    signal,
  );
  const { definitions } = JSON.parse(text) as { readonly definitions: Readonly<Record<string, Schema>> };
  const strict = Object.fromEntries(
    Object.entries(definitions).map(([name, schema]) => [name, relaxed(name) ?? strictSchema(schema)]),
  );
  await mkdir(join(folder, `v${version}`));
  for (const [name, schema] of Object.entries(definitions)) {
    const kinds = (schema['x-kubernetes-group-version-kind'] ?? []) as readonly {
      readonly group: string;
      readonly version: string;
      readonly kind: string;
    }[];
    // Lists of kinds and options of requests belong to many groups, and are in no chart.
    const [kind] = kinds;
    if (kind === undefined || kinds.length > 1) continue;
    const closed = Object.fromEntries(closure(name, strict).map((each) => [each, strict[each]]));
    await writeSchema(join(folder, `v${version}`), kind, {
      $ref: `#/definitions/${name}`,
      definitions: closed,
    });
  }
}

async function writeOthers(
  folder: string,
  { module, files }: (typeof OTHERS)[number],
  signal: AbortSignal,
): Promise<void> {
  await mkdir(join(folder, 'others'), { recursive: true });
  for (const text of await moduleFiles(module, files, signal)) {
    const { spec } = load(text) as {
      readonly spec: {
        readonly group: string;
        readonly names: { readonly kind: string };
        readonly versions: readonly {
          readonly name: string;
          readonly schema: { readonly openAPIV3Schema: Schema };
        }[];
      };
    };
    for (const { name, schema } of spec.versions) {
      const kind = { group: spec.group, version: name, kind: spec.names.kind };
      await writeSchema(join(folder, 'others'), kind, strictSchema(schema.openAPIV3Schema, true));
    }
  }
}

async function writeSchema(
  folder: string,
  { group, version, kind }: { readonly group: string; readonly version: string; readonly kind: string },
  schema: Schema,
): Promise<void> {
  // kubeconform takes the first part of a group alone.
  const suffix = [group.split('.')[0], version].filter((part) => part !== '').join('-');
  const document = { $schema: 'http://json-schema.org/draft-07/schema#', ...schema };
  await writeFile(join(folder, `${kind.toLowerCase()}-${suffix}.json`), JSON.stringify(document));
}

/** Types that the specification calls a string, and that JSON may also give as a number. */
function relaxed(name: string): Schema | undefined {
  if (name.endsWith('.util.intstr.IntOrString')) return { type: ['string', 'integer'] };
  if (name.endsWith('.api.resource.Quantity')) return { type: ['string', 'number'] };
  return undefined;
}

/** The same schema, taking no field that it does not name; `top` may have metadata of any kind. */
function strictSchema(schema: Schema, top = false): Schema {
  const result: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword.startsWith('x-kubernetes-') || keyword === 'description' || keyword === 'default') continue;
    if (keyword === 'properties') {
      const properties = Object.entries(value as Readonly<Record<string, Schema>>);
      result['properties'] = Object.fromEntries(
        properties.map(([name, child]) => [
          name,
          top && name === 'metadata' ? { type: 'object' } : strictSchema(child),
        ]),
      );
    } else if (keyword === 'items' || (keyword === 'additionalProperties' && typeof value === 'object'))
      result[keyword] = strictSchema(value as Schema);
    else result[keyword] = value;
  }
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (schema['properties'] !== undefined && schema['additionalProperties'] === undefined && !open)
    result['additionalProperties'] = false;
  return result;
}

/** Names of the definitions that `name` refers to, itself included. */
function closure(name: string, definitions: Readonly<Record<string, Schema>>): readonly string[] {
  const found = new Set([name]);
  for (const each of found) {
    for (const [, reference = ''] of JSON.stringify(definitions[each]).matchAll(/"#\/definitions\/([^"]+)"/g))
      found.add(reference);
  }
  return [...found];
}
