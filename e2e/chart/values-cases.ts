const AUTHORITY = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

/** Values that users set, each for another way of running the operator. CRDs are left out: they are generated, and tested, elsewhere. */
export const VALUES_CASES = {
  /** As it comes. */
  default: { crds: { enabled: false } },

  /** S3 and certificates from elsewhere, cloud identities, PodMonitors. */
  external: {
    crds: { enabled: false },
    image: { digest: `sha256:${'0123456789abcdef'.repeat(4)}` },
    imagePullSecrets: [{ name: 'pull' }],
    serviceAccount: {
      annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/manager' },
    },
    bootRegistry: {
      serviceAccount: {
        annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/boot-registry' },
      },
    },
    certificate: { certManager: { enabled: true, issuerRef: { name: 'internal', kind: 'ClusterIssuer' } } },
    storage: {
      bucket: 'images',
      region: 'eu-central-1',
      embedded: { enabled: false },
      external: { endpoint: 'https://s3.example.com:9000', ca: { configMap: 's3-ca' } },
    },
    networkPolicy: { enabled: true },
    metrics: { podMonitor: { enabled: true } },
  },

  /** One tenant's namespace, with as little of the cluster as can be. */
  namespaced: {
    crds: { enabled: false },
    watchNamespace: 'images',
    rbac: { tokenReviews: false, aggregate: false },
    storage: {
      embedded: { enabled: false },
      external: { endpoint: 'https://s3.example.com', credentialsSecret: 's3', ca: { secret: 's3-ca' } },
    },
  },

  /** No pod on the host's network: images are pushed to a registry, and machines boot from there. */
  pushed: {
    crds: { enabled: false },
    bootRegistry: { enabled: false },
    metrics: { podMonitor: { enabled: true }, prometheusRule: { enabled: true } },
    tests: { bootImage: { repository: 'registry.example/linuxkit/self-test', pushSecretName: 'boot-push' } },
  },

  /** Every switch and every further knob, as far as they go together. */
  everything: {
    crds: { enabled: false },
    nameOverride: 'lko',
    commonLabels: { team: 'platform' },
    commonAnnotations: { 'example.com/owner': 'platform' },
    extraObjects: [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '{{ .Release.Name }}-extra' } },
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: text\n',
    ],
    imagePullSecrets: [{ name: 'pull' }],
    certificate: { certManager: { enabled: true } },
    manager: {
      replicas: 3,
      nodeSelector: { 'kubernetes.io/arch': 'amd64' },
      tolerations: [{ key: 'infra', operator: 'Exists' }],
      affinity: { podAntiAffinity: {} },
      priorityClassName: 'system-cluster-critical',
      podLabels: { 'example.com/scrape': 'yes' },
      podAnnotations: { 'example.com/note': 'manager' },
      extraArgs: ['--context=none'],
      extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy.example.com:3128' }],
      extraEnvFrom: [{ configMapRef: { name: 'proxy', optional: true } }],
      extraVolumes: [{ name: 'extra', emptyDir: {} }],
      extraVolumeMounts: [{ name: 'extra', mountPath: '/extra' }],
    },
    builds: {
      nodeSelector: { 'example.com/pool': 'builds' },
      tolerations: [{ key: 'example.com/builds', operator: 'Exists' }],
      priorityClassName: 'low',
      limits: { maxTarBytes: 2 ** 35 },
      imagePullSecrets: ['pull'],
      insecureRegistries: ['registry.example.com:5000'],
      registryMirrors: { 'docker.io': ['mirror.example.com/hub', 'mirror.example.com:5000'] },
      registryCAs: { 'mirror.example.com': AUTHORITY, '*': AUTHORITY },
      proxy: {
        http: 'http://proxy.example.com:3128',
        https: 'http://proxy.example.com:3128',
        noProxy: '.example.com,10.0.0.0/8',
      },
    },
    bootRegistry: {
      affinity: { nodeAffinity: {} },
      nodeSelector: { 'kubevirt.io/schedulable': 'true' },
      podLabels: { 'example.com/scrape': 'yes' },
      podAnnotations: { 'example.com/note': 'boot-registry' },
      extraArgs: ['--health-listen=0.0.0.0'],
      extraEnv: [{ name: 'NODE_OPTIONS', value: '--max-old-space-size=192' }],
    },
    storage: {
      embedded: {
        image: { digest: `sha256:${'fedcba9876543210'.repeat(4)}` },
        persistence: { storageClassName: 'fast', annotations: { 'example.com/backup': 'daily' } },
        nodeSelector: { 'kubernetes.io/arch': 'amd64' },
        tolerations: [{ operator: 'Exists' }],
        affinity: { nodeAffinity: {} },
        priorityClassName: 'system-cluster-critical',
        podLabels: { 'example.com/scrape': 'no' },
        podAnnotations: { 'example.com/note': 'storage' },
        extraArgs: ['--readonly=false'],
        extraEnv: [{ name: 'GOMEMLIMIT', value: '900MiB' }],
      },
    },
    networkPolicy: {
      enabled: true,
      apiServer: [{ cidr: '10.0.0.1/32', port: 6443 }],
      nodeCIDRs: ['10.0.0.0/24'],
      metricsFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      collector: [{ cidr: '192.0.2.9/32', port: 4318 }],
      builds: { namespaces: ['images'], registries: [{ cidr: '192.0.2.0/24', port: 443 }] },
    },
    tracing: {
      endpoint: 'http://collector.monitoring:4318',
      samplingRatio: 0.1,
      headers: { secret: 'collector' },
      builds: { endpoint: 'http://builds-collector.monitoring:4318' },
    },
    metrics: {
      serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
      prometheusRule: {
        enabled: true,
        alertLabels: { team: 'platform' },
        disabled: ['LinuxKitBuildsFailing'],
      },
      dashboards: { enabled: true, annotations: { grafana_folder: 'LinuxKit' } },
    },
  },
} as const;

export type ValuesCase = keyof typeof VALUES_CASES;
