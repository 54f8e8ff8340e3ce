import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { consoleLine } from '../stack/console.ts';
import { condition, createNamespace, eventually, kubectl, machine, within } from './fixtures.ts';

const NAMESPACE = 'metadata';
const EXAMPLE = join(import.meta.dirname, '..', '..', 'examples', 'metadata.yaml');

/** What of the example's objects is looked at or changed here. */
interface Document {
  readonly kind: string;
  readonly metadata: { readonly name: string; namespace: string };
  readonly spec?: { readonly metadata?: { readonly files?: { content: string }[] } };
  readonly stringData?: Record<string, string>;
}

let documents: readonly Document[];

beforeAll(async () => {
  await createNamespace(NAMESPACE);
  documents = loadAll(await readFile(EXAMPLE, 'utf8')) as readonly Document[];
  for (const { metadata } of documents) metadata.namespace = NAMESPACE;
  await kubectl.apply(documents, within(30));
});

afterAll(async () => {
  await kubectl.run(
    [`--namespace=${NAMESPACE}`, 'delete', 'linuxkitmachines,linuxkitimages', '--all', '--timeout=120s'],
    within(130),
  );
});

async function shown(name: string, pattern: RegExp): Promise<string> {
  return (await consoleLine(kubectl, NAMESPACE, name, pattern, within(400))).text;
}

function named(kind: string, name: string): Document {
  const found = documents.find((document) => document.kind === kind && document.metadata.name === name);
  if (found === undefined) throw new Error(`the example has no ${kind} ${name}`);
  return found;
}

it('is read in the guest, out of the object and out of a Secret', async () => {
  const [inline, secret] = await Promise.all([
    shown('inline', /\/run\/config\/ssh\/authorized_keys/),
    shown('secret', /\/run\/config\/hostname/),
  ]);
  expect(inline).toMatch(/\[001-show\] inline-0: \/run\/config\/app\/motd 644 hello from the object/);
  expect(inline).toMatch(/inline-0: \/run\/config\/ssh\/authorized_keys 600 ssh-ed25519 AAAA me@example/);
  expect(secret).toMatch(/\[001-show\] secretive: \/run\/config\/app\/token 600 hello from the Secret/);
}, 500_000);

it('is read again after a change: of the object by itself, of a Secret once a restart is asked for', async () => {
  const changed = named('LinuxKitMachine', 'inline');
  for (const file of changed.spec?.metadata?.files ?? []) file.content = 'changed in the object';
  const secret = named('Secret', 'metadata');
  const data = secret.stringData ?? {};
  for (const [key, text] of Object.entries(data)) data[key] = text.replace('hello from', 'changed in');
  await kubectl.apply([changed, secret], within(30));
  await kubectl.run(
    [
      `--namespace=${NAMESPACE}`,
      'annotate',
      'linuxkitmachine',
      'secret',
      'linuxkit.dev/restart-requested-at=now',
    ],
    within(20),
  );
  await Promise.all([
    shown('inline', /inline-0: \/run\/config\/app\/motd 644 changed in the object/),
    shown('secret', /secretive: \/run\/config\/app\/token 600 changed in the Secret/),
  ]);
  const maps = await eventually('one ConfigMap of ours', 60, async () => {
    const text = await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'get', 'configmaps', '-l', 'linuxkit.dev/machine', '-o', 'name'],
      within(20),
    );
    const names = text.trim().split('\n');
    return names.length === 1 ? names : undefined;
  });
  expect(maps[0]).toMatch(/^configmap\/inline-0-metadata-/);
  await eventually('both to be as they should be', 60, async () => {
    const both = await Promise.all(['inline', 'secret'].map((name) => machine(NAMESPACE, name)));
    return both.every((each) => condition(each, 'Ready')?.reason === 'UpToDate');
  });
}, 500_000);
