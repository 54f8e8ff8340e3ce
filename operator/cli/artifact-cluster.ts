import { IMAGES } from '../controllers/image/objects.ts';
import type { ApiClient } from '../runtime/api-client.ts';
import { JOBS, PODS } from '../runtime/resources.ts';
import type { ClusterView } from '../storage/endpoint/identity.ts';

/**
 * What the artifact endpoint asks of the API server. Needs `create` on tokenreviews, and `get` on pods,
 * Jobs and LinuxKitImages. It asks the server itself and no cache: a pod that was deleted a moment ago
 * is to get nothing any more.
 */
export function artifactCluster(client: ApiClient): ClusterView {
  return {
    createTokenReview: (token, audiences, options) => client.createTokenReview(token, audiences, options),
    findPod: (key, options) => client.find(PODS, key, options),
    findJob: (key, options) => client.findMetadata(JOBS, key, options),
    findImage: (key, options) => client.findMetadata(IMAGES, key, options),
  };
}
