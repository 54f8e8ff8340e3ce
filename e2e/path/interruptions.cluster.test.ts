import { beforeAll, describe, expect, it } from 'vitest';
import { OPERATOR_NAMESPACE, RELEASE } from '../stack/chart.ts';
import {
  createNamespace,
  eventually,
  image,
  imageReady,
  keysBelow,
  kubectl,
  linuxkitConfig,
  linuxkitImage,
  testCluster,
  within,
} from './fixtures.ts';

const NAMESPACE = 'interruptions';
const SELECTOR = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=manager`;

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    readonly status: { readonly phase: string };
  }[];
}

async function buildPod(name: string): Promise<string> {
  return await eventually(`a pod that builds ${name}`, 60, async () => {
    const { items } = await kubectl.json<Pods>(
      [`--namespace=${NAMESPACE}`, 'get', 'pods', '-l', `linuxkit.dev/image=${name}`],
      within(20),
    );
    return items.find((pod) => pod.status.phase === 'Running' && pod.metadata.deletionTimestamp === undefined)
      ?.metadata.name;
  });
}

async function killManagers(): Promise<void> {
  await kubectl.run(
    [`--namespace=${OPERATOR_NAMESPACE}`, 'delete', 'pods', '-l', SELECTOR, '--grace-period=0', '--force'],
    within(60),
  );
}

/** One artifact, complete, and nothing beside it. */
async function expectOneArtifact(name: string): Promise<void> {
  const { status } = await imageReady(NAMESPACE, name, 240);
  const folders = new Set((await keysBelow(`${NAMESPACE}/${name}/`)).map((key) => key.split('/')[2]));
  expect([...folders]).toEqual([status?.artifact?.digest.replace(':', '-')]);
  const jobs = await kubectl.run(
    [`--namespace=${NAMESPACE}`, 'get', 'jobs', '-l', `linuxkit.dev/image=${name}`, '-o', 'name'],
    within(20),
  );
  expect(jobs.trim().split('\n').filter(Boolean).length).toBeLessThanOrEqual(1);
  expect((await image(NAMESPACE, name)).status?.history ?? []).toEqual([]);
}

describe('interrupted at any moment, a build ends Ready with one artifact', () => {
  beforeAll(async () => await createNamespace(NAMESPACE));

  const apply = async (name: string) =>
    await kubectl.apply([linuxkitImage(NAMESPACE, name, { config: linuxkitConfig(name) })], within(30));

  it('when the build pod is killed', async () => {
    await apply('pod-killed');
    const pod = await buildPod('pod-killed');
    await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'delete', 'pod', pod, '--grace-period=0', '--force'],
      within(30),
    );
    await expectOneArtifact('pod-killed');
  });

  it('when the operator is killed right after the apply', async () => {
    await apply('operator-early');
    await killManagers();
    await expectOneArtifact('operator-early');
  });

  it('when the operator is killed while the pod builds', async () => {
    await apply('operator-mid');
    await buildPod('operator-mid');
    await killManagers();
    await expectOneArtifact('operator-mid');
  });

  it('when the operator is killed as the build ends', async () => {
    await apply('operator-late');
    await eventually('the Job to be complete', 180, async () => {
      const text = await kubectl.run(
        [
          `--namespace=${NAMESPACE}`,
          'get',
          'pods',
          '-l',
          'linuxkit.dev/image=operator-late',
          '-o',
          'jsonpath={.items[*].status.phase}',
        ],
        within(20),
      );
      return text.includes('Succeeded');
    });
    await killManagers();
    await expectOneArtifact('operator-late');
  });

  it('when the API server is restarted', async () => {
    const cluster = await testCluster();
    await apply('api-server');
    await buildPod('api-server');
    await cluster.restartApiServer(within(90));
    await expectOneArtifact('api-server');
  });
});
