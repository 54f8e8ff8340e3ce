import { describe, expect, it } from 'vitest';
import { deadline } from '../store-contract.ts';
import { type ClusterView, identify, type OwnedObject, type ReviewedToken } from './identity.ts';

const labels = { 'linuxkit.dev/image': 'web', 'linuxkit.dev/build': '0123456789abcdef' };

const review: ReviewedToken = {
  authenticated: true,
  audiences: ['artifacts.linuxkit.dev'],
  user: {
    username: 'system:serviceaccount:tenant:default',
    extra: {
      'authentication.kubernetes.io/pod-name': ['web-build-x7'],
      'authentication.kubernetes.io/pod-uid': ['pod-uid'],
    },
  },
};

function controlledBy(
  apiVersion: string,
  kind: string,
  name: string,
  uid: string,
): OwnedObject['metadata']['ownerReferences'] {
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', name: 'by-the-way', uid: 'x' },
    { apiVersion, kind, name, uid, controller: true },
  ];
}

const job: OwnedObject = {
  metadata: {
    name: 'web-build',
    uid: 'job-uid',
    labels,
    ownerReferences: controlledBy('linuxkit.dev/v1alpha1', 'LinuxKitImage', 'web', 'image-uid') ?? [],
  },
};
const pod: OwnedObject = {
  metadata: {
    name: 'web-build-x7',
    uid: 'pod-uid',
    labels,
    ownerReferences: controlledBy('batch/v1', 'Job', 'web-build', 'job-uid') ?? [],
  },
  status: { phase: 'Running' },
};
const image: OwnedObject = { metadata: { name: 'web', uid: 'image-uid' } };

interface Cluster {
  review: ReviewedToken;
  pod: OwnedObject | undefined;
  job: OwnedObject | undefined;
  image: OwnedObject | undefined;
}

/** A cluster with one pod, one Job and one image in namespace `tenant`. */
function view(changes: Partial<Cluster>): ClusterView {
  const cluster: Cluster = { review, pod, job, image, ...changes };
  const find =
    (object: OwnedObject | undefined) => async (key: { readonly namespace: string; readonly name: string }) =>
      key.namespace === 'tenant' && key.name === object?.metadata.name ? object : undefined;
  return {
    createTokenReview: async (token, audiences) => {
      expect(token).toBe('ey.secret.token');
      expect(audiences).toEqual(['artifacts.linuxkit.dev']);
      return cluster.review;
    },
    findPod: find(cluster.pod),
    findJob: find(cluster.job),
    findImage: find(cluster.image),
  };
}

const ask = (changes: Partial<Cluster>) => identify('ey.secret.token', view(changes), { signal: deadline() });
const changed = (object: OwnedObject, metadata: Partial<OwnedObject['metadata']>): OwnedObject => ({
  ...object,
  metadata: { ...object.metadata, ...metadata },
});

describe('identify', () => {
  it('names the image that the pod of a valid token builds', async () => {
    expect(await ask({})).toEqual({
      namespace: 'tenant',
      image: 'web',
      podName: 'web-build-x7',
      podUid: 'pod-uid',
    });
  });

  it.each<[string, Partial<Cluster>, string]>([
    ['an invalid token', { review: { ...review, authenticated: false } }, 'not valid'],
    ['no answer about the token', { review: {} }, 'not valid'],
    [
      'a token for the API server',
      { review: { ...review, audiences: ['https://kubernetes.default.svc'] } },
      'not for',
    ],
    [
      'a server that knows no audiences',
      { review: { authenticated: true, ...(review.user && { user: review.user }) } },
      'not for',
    ],
    [
      'a person',
      { review: { ...review, user: { ...review.user, username: 'admin' } } },
      'not of a service account',
    ],
    [
      'a name that only looks like one',
      { review: { ...review, user: { ...review.user, username: 'system:serviceaccount:a/b:c' } } },
      'not of a service account',
    ],
    [
      'a token of no pod',
      { review: { ...review, user: { username: 'system:serviceaccount:tenant:default' } } },
      'not bound to a pod',
    ],
    ['a pod that is gone', { pod: undefined }, 'is gone'],
    ['another pod of the same name', { pod: changed(pod, { uid: 'younger' }) }, 'is gone'],
    [
      'a pod that is being deleted',
      { pod: changed(pod, { deletionTimestamp: '2026-11-24T12:00:00Z' }) },
      'being deleted',
    ],
    ['a pod that has ended', { pod: { ...pod, status: { phase: 'Succeeded' } } }, 'has ended'],
    ['a pod of nobody', { pod: changed(pod, { ownerReferences: [] }) }, 'not controlled by a Job'],
    [
      'a pod of a ReplicaSet',
      { pod: changed(pod, { ownerReferences: controlledBy('apps/v1', 'ReplicaSet', 'web', 'u') ?? [] }) },
      'not controlled by a Job',
    ],
    [
      'a pod of another kind called Job',
      {
        pod: changed(pod, { ownerReferences: controlledBy('evil/v1', 'Job', 'web-build', 'job-uid') ?? [] }),
      },
      'not controlled by a Job',
    ],
    ['a Job that is gone', { job: undefined }, 'Job web-build, which controls the pod, is gone'],
    ['another Job of the same name', { job: changed(job, { uid: 'younger' }) }, 'is gone'],
    [
      'a Job of a CronJob',
      { job: changed(job, { ownerReferences: controlledBy('batch/v1', 'CronJob', 'web', 'u') ?? [] }) },
      'not controlled by a LinuxKitImage',
    ],
    ['an image that is gone', { image: undefined }, 'LinuxKitImage web, which controls the Job, is gone'],
    ['an image made anew', { image: changed(image, { uid: 'younger' }) }, 'is gone'],
    [
      'an image that is being deleted',
      { image: changed(image, { deletionTimestamp: '2026-11-24T12:00:00Z' }) },
      'being deleted',
    ],
    ['a pod without our labels', { pod: changed(pod, { labels: {} }) }, 'does not carry the labels'],
    [
      'a Job of another image',
      { job: changed(job, { labels: { ...labels, 'linuxkit.dev/image': 'other' } }) },
      'does not carry the labels',
    ],
  ])('refuses %s', async (_, changes, reason) => {
    const refused = await ask(changes).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'Unauthenticated',
      message: expect.stringContaining(reason) as string,
    });
    expect(String(refused)).not.toContain('ey.secret.token');
  });

  it('says that it cannot tell when the API server does not answer', async () => {
    const silent = { ...view({}), findPod: async () => Promise.reject(new Error('connect ECONNREFUSED')) };
    await expect(identify('ey.secret.token', silent, { signal: deadline() })).rejects.toMatchObject({
      code: 'Unavailable',
    });
  });
});
