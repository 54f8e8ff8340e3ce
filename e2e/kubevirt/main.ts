/**
 * KubeVirt's stand-in, as it runs in a test cluster: admission webhooks on :8443 and the
 * controllers. A stand-in only: QEMU in a pod, with KubeVirt's rules and status around it.
 *
 * Environment: LAUNCHER_IMAGE (image with QEMU and busybox), TLS_CERT and TLS_KEY (PEM).
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../operator/errors.ts';
import { ClusterAccess } from '../../operator/runtime/access.ts';
import { ApiClient } from '../../operator/runtime/api-client.ts';
import { reconcileAll } from './controller.ts';
import { createWebhookServer } from './webhook.ts';

const PAUSE_MS = 250;

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
process.once('SIGINT', () => stop.abort());

await using access = ClusterAccess.load();
const client = new ApiClient(access, { userAgent: 'kubevirt-stand-in' });
const server = createWebhookServer({ cert: required('TLS_CERT'), key: required('TLS_KEY') }).listen(8443);
await once(server, 'listening');
console.log(JSON.stringify({ message: 'serving', port: 8443 }));

while (!stop.signal.aborted) {
  try {
    await reconcileAll(client, required('LAUNCHER_IMAGE'), new Date(), stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) console.error(JSON.stringify({ message: messageOf(error) }));
  }
  await sleep(PAUSE_MS, undefined, { signal: stop.signal }).catch(() => undefined);
}
server.close();
server.closeAllConnections();
