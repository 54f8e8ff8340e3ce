import { createHash } from 'node:crypto';
import { webhookConfigurations } from './webhook-configurations.ts';

export { kubeVirtCrds } from './api/crds.ts';

export const STAND_IN_NAMESPACE = 'kubevirt';
export const STAND_IN_NAME = 'kubevirt-stand-in';
/** The name that its serving certificate must carry. */
export const WEBHOOK_HOST = `${STAND_IN_NAME}.${STAND_IN_NAMESPACE}.svc`;

/** As which the API server knows the stand-in. */
const OWN_USER = `system:serviceaccount:${STAND_IN_NAMESPACE}:${STAND_IN_NAME}`;

export interface StandInImages {
  /** Node and the bundled stand-in. */
  readonly standIn: string;
  /** QEMU and its launcher. */
  readonly launcher: string;
}

/** PEM texts. */
export interface StandInTls {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

const metadata = { name: STAND_IN_NAME, namespace: STAND_IN_NAMESPACE };
const labels = { app: STAND_IN_NAME };

/** Everything but the CRDs, in the order to apply it. */
export function standInManifests(images: StandInImages, tls: StandInTls): object[] {
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: STAND_IN_NAMESPACE } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    ...rights(),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      stringData: { TLS_CERT: tls.certificate, TLS_KEY: tls.key, TLS_AUTHORITY: tls.authority },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
    },
    deployment(images, tls),
    ...webhookConfigurations(metadata, tls.authority, OWN_USER),
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: 'v1.subresources.kubevirt.io' },
      spec: {
        group: 'subresources.kubevirt.io',
        version: 'v1',
        groupPriorityMinimum: 1000,
        versionPriority: 15,
        service: { ...metadata, port: 443 },
        caBundle: Buffer.from(tls.authority).toString('base64'),
      },
    },
  ];
}

function rights(): object[] {
  const read = ['get', 'list', 'watch'];
  return [
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: STAND_IN_NAME },
      rules: [
        { apiGroups: ['kubevirt.io'], resources: ['*'], verbs: ['*'] },
        { apiGroups: ['instancetype.kubevirt.io'], resources: ['*'], verbs: read },
        { apiGroups: [''], resources: ['pods'], verbs: [...read, 'create', 'delete'] },
        { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: read },
        { apiGroups: ['apps'], resources: ['controllerrevisions'], verbs: [...read, 'create', 'delete'] },
        { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: STAND_IN_NAME },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: STAND_IN_NAME },
      subjects: [{ kind: 'ServiceAccount', name: STAND_IN_NAME, namespace: STAND_IN_NAMESPACE }],
    },
  ];
}

function deployment(images: StandInImages, { certificate }: StandInTls): object {
  // Environment variables are read once: another certificate needs another pod.
  const annotations = {
    'standin.kubevirt.io/certificate': createHash('sha256').update(certificate).digest('hex').slice(0, 16),
  };
  const env = [
    { name: 'LAUNCHER_IMAGE', value: images.launcher },
    { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
  ];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas: 1,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations },
        spec: {
          serviceAccountName: STAND_IN_NAME,
          containers: [
            {
              name: 'stand-in',
              image: images.standIn,
              imagePullPolicy: 'IfNotPresent',
              env,
              envFrom: [{ secretRef: { name: STAND_IN_NAME } }],
              readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
}
