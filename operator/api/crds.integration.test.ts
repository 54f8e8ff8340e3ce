import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlPlane } from '../../e2e/cluster/control-plane.ts';
import { run } from '../../e2e/process/run.ts';
import { waitFor } from '../../e2e/process/wait.ts';
import { silentReporter } from '../../e2e/progress/reporter.ts';
import { ensureTools } from '../../e2e/tools/tools.ts';
import { messageOf } from '../errors.ts';
import { parseImage } from './image.ts';
import { parseMachine } from './machine.ts';
import { type Json, RIGHT_OBJECTS, validMachine, WRONG_IMAGES, WRONG_MACHINES } from './wrong-objects.ts';

const CRDS = join(import.meta.dirname, '../../crds');
const EXAMPLES = join(import.meta.dirname, '../../examples');
const signal = AbortSignal.timeout(900_000);
let plane: ControlPlane;
let program: string;

function kubectl(args: readonly string[], input?: unknown): Promise<string> {
  return run(program, ['--kubeconfig', plane.kubeconfig, ...args], {
    signal,
    ...(input === undefined ? {} : { input: JSON.stringify(input) }),
  });
}

interface Crd {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message: string;
    }[];
  };
}

beforeAll(async () => {
  [plane, { kubectl: program }] = await Promise.all([
    ControlPlane.start(silentReporter, signal),
    ensureTools(['kubectl'], silentReporter, signal),
  ]);
  await kubectl(['apply', ...(await readdir(CRDS)).flatMap((file) => ['-f', join(CRDS, file)])]);
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  await waitFor(
    'discovery of the kinds',
    async () => (await kubectl(['get', 'linuxkit', '-A'])) !== undefined,
    {
      signal,
      timeout: 60_000,
    },
  );
});

afterAll(async () => {
  await plane.stop();
});

test('the API server finds nothing wrong with the CRDs', async () => {
  const list = JSON.parse(await kubectl(['get', 'crd', '-o', 'json'])) as { readonly items: readonly Crd[] };
  expect(list.items.map((crd) => crd.metadata.name)).toEqual([
    'linuxkitimages.linuxkit.dev',
    'linuxkitmachines.linuxkit.dev',
  ]);
  for (const crd of list.items) {
    const conditions = new Map(crd.status?.conditions?.map((condition) => [condition.type, condition]));
    expect(conditions.get('NonStructuralSchema')).toBeUndefined();
    expect(conditions.get('Established')?.status).toBe('True');
    expect(conditions.get('NamesAccepted')?.status).toBe('True');
  }
});

async function refusal(object: Json): Promise<string> {
  try {
    await kubectl(['apply', '--dry-run=server', '-f', '-'], object);
  } catch (error) {
    return `${messageOf(error)}\n${JSON.stringify(error)}`;
  }
  throw new Error('it was taken');
}

describe('refused at kubectl apply, with path and reason', () => {
  test.concurrent.each([...WRONG_IMAGES, ...WRONG_MACHINES])('$title', async ({ object, field, says }) => {
    const text = await refusal(object);
    expect(text).toContain(field);
    expect(text).toMatch(says);
  });
});

describe('taken at kubectl apply', () => {
  test.each(RIGHT_OBJECTS)('$title, and read back', async ({ object }) => {
    const stored: unknown = JSON.parse(
      await kubectl(['apply', '--dry-run=server', '-o', 'json', '-f', '-'], object),
    );
    const parse = object['kind'] === 'LinuxKitImage' ? parseImage : parseMachine;
    // The API server's defaults and ours are the same.
    const expected = parse(object);
    const { spec } = parse(stored);
    expect(spec).toEqual(expected.spec);
  });
});

test('the API server takes every example as it stands', async () => {
  const files = (await readdir(EXAMPLES)).filter((name) => name.endsWith('.yaml'));
  expect(files).toContain('signed.yaml');
  for (const name of files) {
    const taken = await kubectl(['apply', '--dry-run=server', '-o', 'name', '-f', join(EXAMPLES, name)]);
    expect(taken).toContain(`linuxkitimage.linuxkit.dev/${name.replace('.yaml', '')}`);
    expect(taken).toMatch(/^linuxkitmachine\.linuxkit\.dev\/./m);
  }
});

test('kubectl explain tells of fields deep in the configuration', async () => {
  const services = await kubectl(['explain', 'lki.spec.config.services']);
  expect(services).toContain('FIELD: services <[]Object>');
  expect(services).toMatch(/DESCRIPTION:\s+\S/);
  expect(services).toMatch(/capabilities\t<\[\]string>/);
  expect(services).not.toContain('<no description>');
  expect(await kubectl(['explain', 'lkm.spec.update.maxUnavailable'])).toMatch(/IntOrString|percentage/);
});

test('kubectl scale works on a machine, and the printed columns are those of the kind', async () => {
  await kubectl(['apply', '-f', '-'], validMachine());
  await kubectl(['scale', 'lkm/web', '--replicas=3']);
  const machine = parseMachine(JSON.parse(await kubectl(['get', 'lkm', 'web', '-o', 'json'])));
  expect(machine.spec.replicas).toBe(3);
  expect((await kubectl(['get', 'lkm'])).split('\n')[0]?.split(/\s+/)).toEqual([
    'NAME',
    'READY',
    'REASON',
    'REPLICAS',
    'UP',
    'UPDATED',
    'IMAGE',
    'DIGEST',
    'AGE',
  ]);
  await kubectl(['delete', 'lkm', 'web']);
});

test('two managers can each own a service of one configuration', async () => {
  const of = (service: string): Json => ({
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitImage',
    metadata: { name: 'shared', namespace: 'default' },
    spec: {
      config: { kernel: { image: 'kernel' }, services: [{ name: service, image: 'registry.example/a' }] },
    },
  });
  await kubectl(['apply', '--server-side', '--field-manager=one', '-f', '-'], of('one'));
  await kubectl(['apply', '--server-side', '--field-manager=two', '-f', '-'], of('two'));
  const image = parseImage(JSON.parse(await kubectl(['get', 'lki', 'shared', '-o', 'json'])));
  expect(image.spec.config?.services?.map((service) => service.name)).toEqual(['one', 'two']);
  await kubectl(['delete', 'lki', 'shared']);
});
