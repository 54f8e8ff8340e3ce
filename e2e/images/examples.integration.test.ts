import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ClusterAccess } from '../../operator/runtime/access.ts';
import { ApiClient } from '../../operator/runtime/api-client.ts';
import { ControlPlane } from '../cluster/control-plane.ts';
import { installCrds } from '../cluster/crds.ts';
import { silentReporter } from '../progress/reporter.ts';
import { Kubectl } from '../stack/kubectl.ts';
import { ensureTools } from '../tools/tools.ts';

/** An API server with the CRDs takes every example as it stands; what becomes of them is for clusters to show. */

const EXAMPLES = join(import.meta.dirname, '..', '..', 'examples');
const NAMES = (await readdir(EXAMPLES)).filter((name) => name.endsWith('.yaml'));
const signal = AbortSignal.timeout(900_000);
let plane: ControlPlane;
let kubectl: Kubectl;

beforeAll(async () => {
  const tools = await ensureTools(['kubectl'], silentReporter, signal);
  plane = await ControlPlane.start(silentReporter, signal);
  kubectl = new Kubectl(tools.kubectl, plane.kubeconfig);
  await using access = ClusterAccess.load({ file: plane.kubeconfig });
  await installCrds(new ApiClient(access), signal);
}, 900_000);

afterAll(async () => {
  await plane.stop();
});

test.each(NAMES)('%s is applied, without a warning and without a field that is dropped', async (name) => {
  const file = join(EXAMPLES, name);
  const documents = loadAll(await readFile(file, 'utf8'));
  const output = await kubectl.run(
    ['apply', '--validate=strict', '--warnings-as-errors', '--filename', file],
    signal,
  );
  expect(output.trim().split('\n').toSorted()).toEqual(
    documents
      .map((document) => {
        const { kind, apiVersion, metadata } = document as {
          readonly kind: string;
          readonly apiVersion: string;
          readonly metadata: { readonly name: string };
        };
        const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
        return `${kind.toLowerCase()}${group}/${metadata.name} created`;
      })
      .toSorted(),
  );
});
