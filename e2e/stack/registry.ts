import type { Kubectl } from './kubectl.ts';

/** The name by which pods know the registry; examples use it in image references. */
export const REGISTRY_NAME = 'registry.registry.svc:5000';
const PORT = 5000;

/**
 * An OCI registry on the node's own network: the node's runtime pulls from it as
 * 127.0.0.1:5000, pods reach it under {@link REGISTRY_NAME}, and this machine at the node's address.
 */
export async function deployRegistry(kubectl: Kubectl, image: string, signal: AbortSignal): Promise<void> {
  const labels = { app: 'registry' };
  const metadata = { name: 'registry', namespace: 'registry' };
  await kubectl.apply(
    [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'registry' } },
      { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: labels, ports: [{ port: PORT }] } },
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata,
        spec: {
          replicas: 1,
          strategy: { type: 'Recreate' },
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: {
              hostNetwork: true,
              enableServiceLinks: false,
              containers: [
                {
                  name: 'registry',
                  image,
                  imagePullPolicy: 'IfNotPresent',
                  env: [{ name: 'OTEL_TRACES_EXPORTER', value: 'none' }],
                  readinessProbe: { httpGet: { path: '/v2/', port: PORT }, periodSeconds: 1 },
                  volumeMounts: [{ name: 'data', mountPath: '/var/lib/registry' }],
                },
              ],
              volumes: [{ name: 'data', emptyDir: {} }],
            },
          },
        },
      },
    ],
    signal,
  );
  await kubectl.run(
    ['--namespace=registry', 'rollout', 'status', 'deployment/registry', '--timeout=120s'],
    signal,
  );
}
