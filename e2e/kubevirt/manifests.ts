import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export const STAND_IN_NAMESPACE = 'kubevirt';
const NAME = 'kubevirt-stand-in';
/** The names its webhook certificate must carry. */
export const WEBHOOK_HOST = `${NAME}.${STAND_IN_NAMESPACE}.svc`;

export interface StandInImages {
  /** Node and the bundled stand-in. */
  readonly standIn: string;
  /** QEMU and busybox. */
  readonly launcher: string;
}

/** Everything but the CRDs, in the order to apply it. `certificate`, `key` and `authority` are PEM. */
export function standInManifests(
  images: StandInImages,
  tls: { readonly certificate: string; readonly key: string; readonly authority: string },
): object[] {
  const metadata = { name: NAME, namespace: STAND_IN_NAMESPACE };
  const labels = { app: NAME };
  const rule = (path: string) => ({
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    failurePolicy: 'Fail',
    timeoutSeconds: 10,
    clientConfig: {
      service: { name: NAME, namespace: STAND_IN_NAMESPACE, path },
      caBundle: Buffer.from(tls.authority).toString('base64'),
    },
    rules: [
      {
        apiGroups: ['kubevirt.io'],
        apiVersions: ['v1'],
        operations: ['CREATE', 'UPDATE'],
        resources: ['virtualmachines'],
        scope: 'Namespaced',
      },
    ],
  });
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: STAND_IN_NAMESPACE } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: NAME },
      rules: [
        { apiGroups: ['kubevirt.io'], resources: ['*'], verbs: ['*'] },
        { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'create', 'delete'] },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: NAME },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: NAME },
      subjects: [{ kind: 'ServiceAccount', name: NAME, namespace: STAND_IN_NAMESPACE }],
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      stringData: { TLS_CERT: tls.certificate, TLS_KEY: tls.key },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
    },
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
            serviceAccountName: NAME,
            containers: [
              {
                name: 'stand-in',
                image: images.standIn,
                imagePullPolicy: 'IfNotPresent',
                env: [{ name: 'LAUNCHER_IMAGE', value: images.launcher }],
                envFrom: [{ secretRef: { name: NAME } }],
                readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: NAME },
      webhooks: [{ name: 'mutate.kubevirt.stand-in', ...rule('/mutate') }],
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: NAME },
      webhooks: [{ name: 'validate.kubevirt.stand-in', ...rule('/validate') }],
    },
  ];
}

/**
 * KubeVirt's own CRDs as YAML texts, where a folder of them is at hand (`KUBEVIRT_CRDS`, or
 * `../shared/kubevirt-crds` beside the checkout); two small ones of our own otherwise.
 */
export async function kubeVirtCrds(): Promise<{
  readonly own: boolean;
  readonly documents: readonly string[];
}> {
  const folder =
    process.env['KUBEVIRT_CRDS'] ?? join(import.meta.dirname, '..', '..', '..', 'shared', 'kubevirt-crds');
  const names = await readdir(folder).catch(() => []);
  const wanted = names.filter((name) => name.startsWith('virtualmachine') && name.endsWith('.yaml')).sort();
  if (wanted.includes('virtualmachines.yaml') && wanted.includes('virtualmachineinstances.yaml')) {
    return {
      own: false,
      documents: await Promise.all(wanted.map((name) => readFile(join(folder, name), 'utf8'))),
    };
  }
  return {
    own: true,
    documents: [ownCrd('VirtualMachine', 'vm', true), ownCrd('VirtualMachineInstance', 'vmi', false)].map(
      (crd) => JSON.stringify(crd),
    ),
  };
}

function ownCrd(kind: string, short: string, status: boolean): object {
  const plural = `${kind.toLowerCase()}s`;
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.kubevirt.io` },
    spec: {
      group: 'kubevirt.io',
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase(), shortNames: [short] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          ...(status ? { subresources: { status: {} } } : {}),
          schema: {
            openAPIV3Schema: { type: 'object', required: ['spec'], properties: { spec: open, status: open } },
          },
        },
      ],
    },
  };
}
