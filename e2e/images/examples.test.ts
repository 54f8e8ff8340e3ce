import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load, loadAll } from 'js-yaml';
import { expect, test } from 'vitest';

import { parseImage } from '../../operator/api/image.ts';
import { parseMachine } from '../../operator/api/machine.ts';
import { parseLinuxKit } from '../../operator/linuxkit/parse.ts';
import { mustVerify } from '../../operator/linuxkit/trust.ts';
import { preparePolicy } from '../../operator/oci/signatures/policy.ts';
import { COMPONENTS } from './components/catalogue.ts';

const EXAMPLES = join(import.meta.dirname, '..', '..', 'examples');
const NAMES = ['minimal', 'docker', 'signed'];

function read(name: string): Promise<string> {
  return readFile(join(EXAMPLES, name), 'utf8');
}

/** The objects of an example that are of our kinds. */
async function objects(name: string): Promise<readonly { readonly spec: { readonly config: unknown } }[]> {
  const documents = loadAll(await read(`${name}.yaml`)) as readonly {
    kind: string;
    spec: { config: unknown };
  }[];
  return documents.filter(({ kind }) => kind.startsWith('LinuxKit'));
}

test.each(NAMES)('%s.yaml holds an image and a machine that boots it', async (name) => {
  const [image, machine] = await objects(name);
  expect(parseImage(image).metadata.name).toBe(name);
  expect(parseMachine(machine).spec.imageRef.name).toBe(name);
});

test.each(NAMES)('linuxkit/%s.yml is the same machine for the command line', async (name) => {
  const [image] = await objects(name);
  const text = await read(`linuxkit/${name}.yml`);
  expect(() => parseLinuxKit(text, { source: name, allowSource: false, requireKernel: true })).not.toThrow();
  const inCluster = text.replaceAll('127.0.0.1:5000/', 'registry.test:5000/');
  expect(load(inCluster)).toEqual(image?.spec.config);
});

test('metadata.yaml holds machines that have theirs from the object and from a Secret', async () => {
  const [image, inline, secret, outOfSecret] = loadAll(await read('metadata.yaml'));
  const { spec, metadata } = parseImage(image);
  expect(spec.config?.onboot?.map(({ name }) => name)).toEqual(['metadata', 'show']);
  for (const machine of [inline, outOfSecret])
    expect(parseMachine(machine).spec.imageRef.name).toBe(metadata.name);
  expect(parseMachine(outOfSecret).spec.metadata?.secretRef).toEqual({
    name: (secret as { metadata: { name: string } }).metadata.name,
  });
});

test.each([...NAMES, 'metadata', 'fleet'])('every image that %s.yaml names is published', async (name) => {
  const published = new Set(
    COMPONENTS.map(({ repository, tag }) => `registry.test:5000/${repository}:${tag}`),
  );
  const named = (await read(`${name}.yaml`)).matchAll(/registry\.test:5000\/[\w./-]+:[\w.]+/g);
  for (const [reference] of named) expect(published).toContain(reference);
});

test('signed.yaml trusts all of its images, by a key that it brings along', async () => {
  const [configMap, object] = loadAll(await read('signed.yaml')) as readonly {
    readonly metadata: { readonly name: string };
    readonly data: Readonly<Record<string, string>>;
  }[];
  const { spec } = parseImage(object);
  const [key] = spec.verification?.publicKeys ?? [];
  expect(key).toEqual({ configMapKeyRef: { name: configMap?.metadata.name, key: 'cosign.pub' } });
  expect(() => preparePolicy({ publicKeys: [configMap?.data['cosign.pub'] ?? ''] })).not.toThrow();
  const named = (await read('signed.yaml')).matchAll(/image: (registry\.test:5000\/\S+)/g);
  for (const [, reference = ''] of named) expect(mustVerify(spec.config?.trust, reference)).toBe(true);
});
