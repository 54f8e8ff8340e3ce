import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { BootRegistryOptions } from './server.ts';

/** From a manifest out of the cache to a layer of a gigabyte. */
const SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** Whether storage answered when it was last asked; the same name as a manager's. */
export function storageMetric(registry: Registry, reachable: () => boolean): Gauge {
  return new Gauge({
    name: 'linuxkit_storage_reachable',
    help: '1 if object storage answered when it was last asked.',
    registers: [registry],
    collect() {
      this.set(reachable() ? 1 : 0);
    },
  });
}

/** What a boot registry tells Prometheus. No label holds the name of an image. */
export function bootRegistryMetrics(
  registry: Registry,
): Required<Pick<BootRegistryOptions, 'observe' | 'corrupt'>> {
  const registers = [registry];
  const labelNames = ['route', 'method', 'code'] as const;
  const requests = new Counter({
    name: 'linuxkit_boot_registry_requests_total',
    help: 'Requests by what was asked for and the status of the answer; `cut`: the connection ended before the body did.',
    labelNames,
    registers,
  });
  const seconds = new Histogram({
    name: 'linuxkit_boot_registry_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer.',
    labelNames: ['route'] as const,
    buckets: SECONDS,
    registers,
  });
  const bytes = new Counter({
    name: 'linuxkit_boot_registry_sent_bytes_total',
    help: 'Bytes of manifests and blobs that were sent.',
    labelNames: ['route'] as const,
    registers,
  });
  const corrupt = new Counter({
    name: 'linuxkit_boot_registry_corrupt_layers_total',
    help: 'Layers whose stored objects did not give the digest that their record names.',
    registers,
  });
  return {
    observe: (request) => {
      const { route, method } = request;
      requests.inc({ route, method, code: request.complete ? String(request.status) : 'cut' });
      seconds.observe({ route }, request.seconds);
      bytes.inc({ route }, request.bytes);
    },
    corrupt: () => corrupt.inc(),
  };
}
