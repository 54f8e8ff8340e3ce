import { API_VERSION, ARTIFACT_AUDIENCE, IMAGE_KIND, LABEL_BUILD, LABEL_IMAGE } from '../../api/names.ts';
import { EndpointError } from './endpoint-error.ts';

/** Who a request comes from: a running pod that builds this image. */
export interface BuildPod {
  readonly namespace: string;
  readonly image: string;
  readonly podName: string;
  readonly podUid: string;
}

/** The parts of a TokenReview's status that are looked at (authentication.k8s.io/v1). */
export interface ReviewedToken {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly user?: {
    readonly username?: string;
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

/** The parts of a pod, a Job or an image that are looked at. */
export interface OwnedObject {
  readonly metadata: {
    readonly name: string;
    readonly uid?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly {
      readonly apiVersion: string;
      readonly kind: string;
      readonly name: string;
      readonly uid: string;
      readonly controller?: boolean;
    }[];
  };
  readonly status?: { readonly phase?: string };
}

type Find = (
  key: { readonly namespace: string; readonly name: string },
  options: { readonly signal: AbortSignal },
) => Promise<OwnedObject | undefined>;

/** What has to be asked of the Kubernetes API. `find…` must not answer from a cache that may lag behind a deletion. */
export interface ClusterView {
  createTokenReview(
    token: string,
    audiences: readonly string[],
    options: { readonly signal: AbortSignal },
  ): Promise<ReviewedToken>;
  readonly findPod: Find;
  readonly findJob: Find;
  readonly findImage: Find;
}

/** Claims that the API server adds to a token bound to a pod ("Managing Service Accounts", bound tokens). */
const POD_NAME = 'authentication.kubernetes.io/pod-name';
const POD_UID = 'authentication.kubernetes.io/pod-uid';
const SERVICE_ACCOUNT = /^system:serviceaccount:([a-z0-9]([a-z0-9-]*[a-z0-9])?):[^:]+$/;

/**
 * Says which build pod a token belongs to, by asking the API server: the token is authentic and made
 * for us, the pod it is bound to is alive, and pod, Job and LinuxKitImage own each other in that
 * order in one namespace. Throws {@link EndpointError} `Unauthenticated` with the first thing that
 * does not hold, `Unavailable` when the API server cannot be asked.
 */
export async function identify(
  token: string,
  cluster: ClusterView,
  options: { readonly signal: AbortSignal },
): Promise<BuildPod> {
  const bound = boundPod(
    await asked(cluster.createTokenReview(token, [ARTIFACT_AUDIENCE], options), options),
  );
  const { namespace } = bound;
  const pod = await asked(cluster.findPod({ namespace, name: bound.podName }, options), options);
  if (pod === undefined || pod.metadata.uid !== bound.podUid)
    throw refused(`pod ${namespace}/${bound.podName} is gone`);
  if (pod.metadata.deletionTimestamp !== undefined) throw refused('the pod is being deleted');
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') throw refused('the pod has ended');

  const job = await owner(pod, { apiVersion: 'batch/v1', kind: 'Job' }, 'pod', (name) =>
    asked(cluster.findJob({ namespace, name }, options), options),
  );
  const image = await owner(job, { apiVersion: API_VERSION, kind: IMAGE_KIND }, 'Job', (name) =>
    asked(cluster.findImage({ namespace, name }, options), options),
  );
  for (const object of [pod, job]) {
    const { labels } = object.metadata;
    if (labels?.[LABEL_IMAGE] !== image.metadata.name || labels[LABEL_BUILD] === undefined) {
      throw refused(`${object.metadata.name} does not carry the labels of a build of ${image.metadata.name}`);
    }
  }
  if (image.metadata.deletionTimestamp !== undefined)
    throw refused(`image ${image.metadata.name} is being deleted`);
  return { namespace, image: image.metadata.name, podName: bound.podName, podUid: bound.podUid };
}

/** The pod that a reviewed token is bound to. Throws `Unauthenticated`. */
export function boundPod(review: ReviewedToken): Omit<BuildPod, 'image'> {
  if (review.authenticated !== true) throw refused('the token is not valid');
  // An API server that does not know audiences answers without them, and would take any token.
  if (review.audiences?.includes(ARTIFACT_AUDIENCE) !== true)
    throw refused(`the token is not for ${ARTIFACT_AUDIENCE}`);
  const namespace = SERVICE_ACCOUNT.exec(review.user?.username ?? '')?.[1];
  if (namespace === undefined) throw refused('the token is not of a service account');
  const podName = review.user?.extra?.[POD_NAME]?.[0];
  const podUid = review.user?.extra?.[POD_UID]?.[0];
  if (!podName || !podUid) throw refused('the token is not bound to a pod');
  return { namespace, podName, podUid };
}

/** The controller of `object`, which has to be of that kind and the very object that the reference means. */
async function owner(
  object: OwnedObject,
  wanted: { readonly apiVersion: string; readonly kind: string },
  what: string,
  find: (name: string) => Promise<OwnedObject | undefined>,
): Promise<OwnedObject> {
  const reference = object.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (
    reference === undefined ||
    reference.apiVersion !== wanted.apiVersion ||
    reference.kind !== wanted.kind
  ) {
    throw refused(`the ${what} is not controlled by a ${wanted.kind}`);
  }
  const found = await find(reference.name);
  if (found === undefined || found.metadata.uid !== reference.uid) {
    throw refused(`${wanted.kind} ${reference.name}, which controls the ${what}, is gone`);
  }
  return found;
}

async function asked<T>(answer: Promise<T>, options: { readonly signal: AbortSignal }): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    options.signal.throwIfAborted();
    throw new EndpointError('Unavailable', 'the Kubernetes API does not answer', { cause: error });
  }
}

function refused(why: string): EndpointError {
  return new EndpointError('Unauthenticated', why);
}
