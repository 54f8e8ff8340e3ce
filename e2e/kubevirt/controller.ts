import type { ApiClient } from '../../operator/runtime/api-client.ts';
import { NO_LAUNCHERS } from './launcher/domain.ts';
import { NO_PAUSES } from './pauses.ts';
import { Reconciler } from './reconciler.ts';
import { lookAround } from './world.ts';

/**
 * One look at everything and one step for each object, for tests of others' controllers where no node
 * runs pods: without KubeVirt's pauses, and with every container that runs taken for a running machine.
 */
export async function reconcileAll(
  client: ApiClient,
  launcherImage: string,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  const reconciler = new Reconciler(client, { launcherImage, pauses: NO_PAUSES, launchers: NO_LAUNCHERS });
  await reconciler.look(await lookAround(client, signal), now, signal);
}
