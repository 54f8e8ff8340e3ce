import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import type { ApiClient } from '../../operator/runtime/api-client.ts';
import type { KubeObject } from '../../operator/runtime/objects.ts';
import { resource } from '../../operator/runtime/resources.ts';
import { waitFor } from '../process/wait.ts';

interface Definition extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly plural: string; readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly served: boolean }[];
  };
}

const DEFINITIONS = resource<Definition>({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
});

/** Applies the operator's own CRDs, and returns once the API server serves their kinds. */
export async function installCrds(client: ApiClient, signal: AbortSignal): Promise<void> {
  const folder = join(import.meta.dirname, '../../crds');
  for (const file of await readdir(folder))
    await applyCrd(client, await readFile(join(folder, file), 'utf8'), signal);
}

/** Applies a CRD (YAML), and returns once its kind is served: a definition that was just made is not. */
export async function applyCrd(client: ApiClient, document: string, signal: AbortSignal): Promise<void> {
  const definition = load(document) as Definition;
  await client.apply(DEFINITIONS, definition, { signal, fieldManager: 'test' });
  const { group, scope, names, versions } = definition.spec;
  const kind = resource<KubeObject>({
    group,
    version: versions.find(({ served }) => served)?.name ?? '',
    plural: names.plural,
    kind: names.kind,
    namespaced: scope === 'Namespaced',
  });
  // Its condition Established is set before the API server has taken it up itself.
  await waitFor(
    `CRD ${definition.metadata.name}`,
    async () => {
      await client.list(kind, { signal });
      return true;
    },
    { signal, timeout: 60_000 },
  );
}
