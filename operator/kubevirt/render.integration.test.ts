import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlPlane } from '../../e2e/cluster/control-plane.ts';
import { kubeVirtCrds } from '../../e2e/kubevirt/manifests.ts';
import { run } from '../../e2e/process/run.ts';
import { silentReporter } from '../../e2e/progress/reporter.ts';
import { ensureTools } from '../../e2e/tools/tools.ts';
import { renderVirtualMachine } from './render.ts';
import { FULL_SPEC, sampleArtifact, sampleMachine } from './sample.ts';
import type { VirtualMachine } from './types.ts';

/** Renders against KubeVirt's own schema where it is at hand: a field that KubeVirt does not know is refused. */

const signal = AbortSignal.timeout(900_000);
const revision = { name: 'web-1', artifact: sampleArtifact() };
const options = { bootRegistryHost: '127.0.0.1:30500' };
let plane: ControlPlane;
let program: string;
let ownCrds: boolean;

function kubectl(args: readonly string[], input?: string): Promise<string> {
  return run(program, ['--kubeconfig', plane.kubeconfig, ...args], {
    signal,
    ...(input === undefined ? {} : { input }),
  });
}

beforeAll(async () => {
  const [started, tools, crds] = await Promise.all([
    ControlPlane.start(silentReporter, signal),
    ensureTools(['kubectl'], silentReporter, signal),
    kubeVirtCrds(),
  ]);
  plane = started;
  program = tools.kubectl;
  ownCrds = crds.own;
  for (const document of crds.documents) await kubectl(['apply', '--server-side', '-f', '-'], document);
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
});

afterAll(async () => {
  await plane.stop();
});

async function applied(vm: VirtualMachine): Promise<VirtualMachine> {
  const args = ['apply', '--server-side', '--field-manager=test', '--validate=strict', '--dry-run=server'];
  return JSON.parse(await kubectl([...args, '-o', 'json', '-f', '-'], JSON.stringify(vm))) as VirtualMachine;
}

describe('KubeVirt’s schema takes', () => {
  test.each([
    ['the smallest machine', {}],
    ['a machine with everything', FULL_SPEC],
    [
      'an instance type',
      { memory: undefined, instancetype: { name: 'small' }, preference: { name: 'linux' } },
    ],
    ['no pod network', { network: { pod: false } }],
    ['metadata from a Secret', { metadata: { secretRef: { name: 'keys' } } }],
    [
      'a claim for each machine',
      { disks: [{ name: 'data', volumeClaimTemplate: { resources: { requests: { storage: '1Gi' } } } }] },
    ],
    ['memory in bytes', { memory: 1_073_741_824 }],
  ])('%s, and keeps it as it is', async (_title, spec) => {
    const rendered = renderVirtualMachine(sampleMachine(spec), 1, revision, options);
    const stored = await applied(rendered);
    expect(stored.spec).toEqual(rendered.spec);
  });
});

test('a field that KubeVirt does not know is refused, so the tests above say something', async () => {
  const machine = sampleMachine({ template: { spec: { domain: { devices: { nonsense: true } } } } });
  const rendered = renderVirtualMachine(machine, 0, revision, options);
  if (ownCrds) await expect(applied(rendered)).resolves.toMatchObject({ kind: 'VirtualMachine' });
  else
    await expect(applied(rendered)).rejects.toMatchObject({
      log: expect.stringContaining('nonsense') as unknown,
    });
});
