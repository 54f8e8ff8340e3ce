import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlPlane } from '../cluster/control-plane.ts';
import { silentReporter } from '../progress/reporter.ts';
import { Kubectl } from '../stack/kubectl.ts';
import { ensureTools } from '../tools/tools.ts';
import { podTemplates } from './pod-templates.ts';
import { type Rendered, render } from './render.ts';
import { VALUES_CASES, type ValuesCase } from './values-cases.ts';

const signal = AbortSignal.timeout(1_800_000);
const SYSTEM = 'linuxkit-system';
/** Groups whose CRDs are others'; kubeconform has their schemas. */
const OTHERS = ['monitoring.coreos.com', 'cert-manager.io'];
const CLUSTER_SCOPED = ['ClusterRole', 'ClusterRoleBinding', 'CustomResourceDefinition'];
let plane: ControlPlane;
let kubectl: Kubectl;
let helm: string;

beforeAll(async () => {
  const tools = await ensureTools(['helm', 'kubectl'], silentReporter, signal);
  helm = tools.helm;
  plane = await ControlPlane.start(silentReporter, signal);
  kubectl = new Kubectl(tools.kubectl, plane.kubeconfig);
  const level = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await kubectl.apply(
    [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: SYSTEM } },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'images' } },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'restricted', labels: level } },
    ],
    signal,
  );
}, 1_800_000);

afterAll(async () => {
  await plane.stop();
});

describe.each(Object.keys(VALUES_CASES) as ValuesCase[])('values: %s', (name) => {
  test('an API server takes every object, and has no warning for any', async () => {
    const values = { ...VALUES_CASES[name], crds: { enabled: true } };
    const objects = (await render(helm, values, signal)).filter(
      ({ apiVersion }) => !OTHERS.includes(apiVersion.split('/')[0] ?? ''),
    );
    const output = await kubectl.run(
      ['apply', '--server-side', '--dry-run=server', '--warnings-as-errors', '--filename=-'],
      signal,
      objects.map((object) => JSON.stringify(placed(object))).join('\n---\n'),
    );
    expect(output.trim().split('\n').length).toBe(objects.length);
  });

  test('every pod but the boot registry satisfies the restricted level, and that one all but the network', async () => {
    const pods = podTemplates(await render(helm, VALUES_CASES[name], signal));
    expect(pods.length).toBeGreaterThan(2);
    for (const { owner, component, spec } of pods) {
      const refusal = await refused(pod(component, spec));
      if (component === 'boot-registry') {
        expect(refusal).toMatch(
          /violates PodSecurity "restricted:latest": host namespaces \(hostNetwork=true\)/,
        );
        const { hostNetwork: _, ...rest } = spec;
        expect({ owner, refusal: await refused(pod(component, rest)) }).toEqual({ owner, refusal: '' });
      } else expect({ owner, refusal }).toEqual({ owner, refusal: '' });
    }
  });
});

/** As Helm places it: what names no namespace goes into the release's. */
function placed(object: Rendered): Rendered {
  if (CLUSTER_SCOPED.includes(object.kind)) return object;
  return { ...object, metadata: { namespace: SYSTEM, ...object.metadata } };
}

function pod(name: string, spec: Readonly<Record<string, unknown>>): object {
  // Priority classes of the cluster are the kubelet's business, and may be used in kube-system alone.
  const { priorityClassName: _, ...rest } = spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'restricted' },
    spec: rest,
  };
}

/** Why the API server refuses to create a pod; empty if it would. */
async function refused(object: object): Promise<string> {
  try {
    await kubectl.run(['create', '--dry-run=server', '--filename=-'], signal, JSON.stringify(object));
    return '';
  } catch (error) {
    return String(error);
  }
}
