import type { CacheSharing } from '../layout.ts';
import type { Presigner } from '../s3/presign.ts';
import type { ObjectStore } from '../store.ts';
import { type ClusterView, identify } from './identity.ts';
import { IdentityCache } from './identity-cache.ts';
import { ArtifactServer, type ArtifactServerOptions } from './server.ts';
import { ArtifactService } from './service.ts';

/**
 * The artifact endpoint of a manager, ready to `listen`. It keeps nothing between requests that could
 * not be lost: every replica may serve, whether it leads or not, and each counts budgets of its own.
 */
export function createArtifactEndpoint(
  options: Pick<ArtifactServerOptions, 'certificate' | 'log' | 'observe'> & {
    readonly store: Pick<ObjectStore, 'head' | 'delete'>;
    readonly presigner: Presigner;
    readonly cluster: ClusterView;
    readonly cacheSharing?: CacheSharing;
  },
): ArtifactServer {
  const { store, presigner, cluster, cacheSharing = 'Namespace', ...rest } = options;
  const monotonic = () => performance.now();
  const identities = new IdentityCache((token, deadline) => identify(token, cluster, deadline), monotonic);
  return new ArtifactServer({
    ...rest,
    service: new ArtifactService({ store, presigner, cacheSharing, nowSeconds: () => monotonic() / 1000 }),
    identify: (token, deadline) => identities.identify(token, deadline),
  });
}
