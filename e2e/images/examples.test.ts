import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load, loadAll } from 'js-yaml';
import { expect, test } from 'vitest';

import { parseImage } from '../../operator/api/image.ts';
import { parseMachine } from '../../operator/api/machine.ts';
import { parseLinuxKit } from '../../operator/linuxkit/parse.ts';
import { COMPONENTS } from './components/catalogue.ts';

const EXAMPLES = join(import.meta.dirname, '..', '..', 'examples');
const NAMES = ['minimal', 'docker'];

function read(name: string): Promise<string> {
  return readFile(join(EXAMPLES, name), 'utf8');
}

test.each(NAMES)('%s.yaml holds an image and a machine that boots it', async (name) => {
  const [image, machine] = loadAll(await read(`${name}.yaml`));
  expect(parseImage(image).metadata.name).toBe(name);
  expect(parseMachine(machine).spec.imageRef.name).toBe(name);
});

test.each(NAMES)('linuxkit/%s.yml is the same machine for the command line', async (name) => {
  const [image] = loadAll(await read(`${name}.yaml`)) as readonly { spec: { config: unknown } }[];
  const text = await read(`linuxkit/${name}.yml`);
  expect(() => parseLinuxKit(text, { source: name, allowSource: false, requireKernel: true })).not.toThrow();
  const inCluster = text.replaceAll('127.0.0.1:5000/', 'registry.test:5000/');
  expect(load(inCluster)).toEqual(image?.spec.config);
});

test.each(NAMES)('every image that %s.yaml names is published', async (name) => {
  const published = new Set(
    COMPONENTS.map(({ repository, tag }) => `registry.test:5000/${repository}:${tag}`),
  );
  const named = (await read(`${name}.yaml`)).matchAll(/registry\.test:5000\/[\w./-]+:[\w.]+/g);
  for (const [reference] of named) expect(published).toContain(reference);
});
