/**
 * KubeVirt's stand-in, as it runs in a test cluster: admission webhooks and the aggregated API on :8443,
 * and the controllers. A stand-in only: QEMU in a pod, with KubeVirt's rules and status around it.
 *
 * Environment: LAUNCHER_IMAGE (image with QEMU and its launcher), TLS_CERT and TLS_KEY (PEM), POD_NAME.
 */
import { once } from 'node:events';
import { messageOf } from '../../operator/errors.ts';
import { ClusterAccess } from '../../operator/runtime/access.ts';
import { ApiClient } from '../../operator/runtime/api-client.ts';
import { ApiEventRecorder } from '../../operator/runtime/event-recorder.ts';
import { HTTP_LAUNCHERS } from './launcher/domain.ts';
import { KUBEVIRT_PAUSES } from './pauses.ts';
import { Reconciler } from './reconciler.ts';
import { createWebhookServer } from './webhook.ts';
import { WatchedWorld } from './world.ts';

/** How long to wait for a change before the next look: while something starts or moves, and otherwise. */
const BUSY_MS = 200;
const IDLE_MS = 1_000;

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

const stop = new AbortController();
const { signal } = stop;
process.once('SIGTERM', () => stop.abort());
process.once('SIGINT', () => stop.abort());

await using access = ClusterAccess.load();
const client = new ApiClient(access, { userAgent: 'kubevirt-stand-in' });
const recorder = new ApiEventRecorder(client, {
  controller: 'kubevirt.io/stand-in',
  instance: process.env['POD_NAME'] ?? 'kubevirt-stand-in',
});
const watched = new WatchedWorld(client);
const running = [recorder.run(signal), watched.run(signal)];
await watched.waitForSync(signal);
// Ready means that what is created is seen.
const tls = { cert: required('TLS_CERT'), key: required('TLS_KEY') };
const server = createWebhookServer(tls, { client, signal }).listen(8443);
await once(server, 'listening');
console.log(JSON.stringify({ message: 'serving', port: 8443 }));

let wake = Promise.withResolvers<void>();
watched.onChange(() => wake.resolve());
signal.addEventListener('abort', () => wake.resolve(), { once: true });
const reconciler = new Reconciler(client, {
  launcherImage: required('LAUNCHER_IMAGE'),
  pauses: KUBEVIRT_PAUSES,
  launchers: HTTP_LAUNCHERS,
  recorder,
});
while (!signal.aborted) {
  wake = Promise.withResolvers<void>();
  let busy = false;
  try {
    busy = await reconciler.look(watched.world, new Date(), signal);
  } catch (error) {
    if (!signal.aborted) console.error(JSON.stringify({ message: messageOf(error) }));
  }
  await pause(wake.promise, busy ? BUSY_MS : IDLE_MS);
}
server.close();
server.closeAllConnections();
await Promise.allSettled(running);

/** Until a change, or until so many milliseconds have passed. */
async function pause(change: Promise<void>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([change, promise]);
  clearTimeout(timer);
}
