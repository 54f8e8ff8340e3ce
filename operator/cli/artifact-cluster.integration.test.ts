import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ControlPlane } from '../../e2e/cluster/control-plane.ts';
import { installCrds } from '../../e2e/cluster/crds.ts';
import { silentReporter } from '../../e2e/progress/reporter.ts';
import { API_VERSION, ARTIFACT_AUDIENCE, IMAGE_KIND, LABEL_BUILD, LABEL_IMAGE } from '../api/names.ts';
import { IMAGES, type ImageObject } from '../controllers/image/objects.ts';
import { ClusterAccess } from '../runtime/access.ts';
import { ApiClient } from '../runtime/api-client.ts';
import type { KubeObject, Stored } from '../runtime/objects.ts';
import { JOBS, type Job, NAMESPACES, PODS, type Pod, resource } from '../runtime/resources.ts';
import { identify } from '../storage/endpoint/identity.ts';
import { artifactCluster } from './artifact-cluster.ts';

/** Who a token is, asked of a real API server: what is in it, and what becomes of it, is the server's doing. */

const SERVICE_ACCOUNTS = resource<KubeObject>({
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
});
const namespace = 'tenant';
const labels = { [LABEL_IMAGE]: 'web', [LABEL_BUILD]: '0123456789abcdef' };
const containers = [{ name: 'build', image: 'builder' }];

const signal = AbortSignal.timeout(600_000);
let plane: ControlPlane;
let client: ApiClient;
let image: Stored<ImageObject>;
let job: Stored<Job>;

const controlledBy = (apiVersion: string, kind: string, owner: Stored<KubeObject>) => [
  { apiVersion, kind, name: owner.metadata.name, uid: owner.metadata.uid, controller: true },
];

async function makePod(name: string, metadata: Partial<Pod['metadata']>): Promise<Stored<Pod>> {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, ...metadata },
    spec: { containers, restartPolicy: 'Never', serviceAccountName: 'default' },
  };
  return client.create(PODS, pod, { signal });
}

/** What the kubelet asks for when it projects a token into a pod. */
async function tokenFor(pod: Stored<Pod> | undefined, audience = ARTIFACT_AUDIENCE): Promise<string> {
  const boundObjectRef = pod && {
    apiVersion: 'v1',
    kind: 'Pod',
    name: pod.metadata.name,
    uid: pod.metadata.uid,
  };
  const answer = await client.subresource(SERVICE_ACCOUNTS, { namespace, name: 'default' }, 'token', {
    method: 'POST',
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [audience], expirationSeconds: 600, ...(boundObjectRef && { boundObjectRef }) },
    },
    signal,
  });
  return (answer as { status: { token: string } }).status.token;
}

const ask = (token: string) => identify(token, artifactCluster(client), { signal });

beforeAll(async () => {
  plane = await ControlPlane.start(silentReporter, signal);
  client = new ApiClient(ClusterAccess.load({ file: plane.kubeconfig }));
  await installCrds(client, signal);
  await client.create(
    NAMESPACES,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { signal },
  );
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
  await client.create(SERVICE_ACCOUNTS, account, { signal });
  const config = { kernel: { image: 'example.org/kernel:1' }, init: ['example.org/init:1'] };
  const settings = {
    architecture: 'amd64',
    compression: 'auto',
    historyLimit: 0,
    deletionPolicy: 'Delete',
    suspend: false,
  } as const;
  image = await client.create(
    IMAGES,
    {
      apiVersion: API_VERSION,
      kind: IMAGE_KIND,
      metadata: { name: 'web', namespace },
      spec: { config, ...settings },
    },
    { signal },
  );
  job = await client.create(
    JOBS,
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        name: 'web-build',
        namespace,
        labels,
        ownerReferences: controlledBy(API_VERSION, IMAGE_KIND, image),
      },
      spec: { template: { metadata: { labels }, spec: { containers, restartPolicy: 'Never' } } },
    },
    { signal },
  );
});

afterAll(async () => {
  await client.access[Symbol.asyncDispose]();
  await plane.stop();
});

describe('a token from a real API server', () => {
  it('names the image that its pod builds, until the pod is deleted', async () => {
    const pod = await makePod('web-build-1', { ownerReferences: controlledBy('batch/v1', 'Job', job) });
    const token = await tokenFor(pod);
    expect(await ask(token)).toEqual({
      namespace,
      image: 'web',
      podName: 'web-build-1',
      podUid: pod.metadata.uid,
    });
    await client.delete(PODS, { namespace, name: 'web-build-1' }, { signal, gracePeriodSeconds: 0 });
    await expect(ask(token)).rejects.toMatchObject({ code: 'Unauthenticated' });
  });

  it('is refused when it is for another audience', async () => {
    const pod = await makePod('web-build-2', { ownerReferences: controlledBy('batch/v1', 'Job', job) });
    const token = await tokenFor(pod, 'https://kubernetes.default.svc');
    await expect(ask(token)).rejects.toMatchObject({
      code: 'Unauthenticated',
      message: 'the token is not valid',
    });
  });

  it('is refused when it is bound to no pod', async () => {
    await expect(ask(await tokenFor(undefined))).rejects.toThrow('the token is not bound to a pod');
  });

  it('is refused when its pod is anyone else’s, labels or not', async () => {
    const pod = await makePod('some-pod', {});
    await expect(ask(await tokenFor(pod))).rejects.toThrow('the pod is not controlled by a Job');
  });

  it('is refused when its pod claims a Job that does not exist', async () => {
    const invented = { ...job, metadata: { ...job.metadata, name: 'invented' } };
    const pod = await makePod('claimant', { ownerReferences: controlledBy('batch/v1', 'Job', invented) });
    await expect(ask(await tokenFor(pod))).rejects.toThrow('Job invented, which controls the pod, is gone');
  });

  it('is refused when it is none', async () => {
    await expect(ask('not-a-token')).rejects.toThrow('the token is not valid');
  });
});
