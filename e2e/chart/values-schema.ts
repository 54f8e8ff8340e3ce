import * as z from 'zod';
import { DURATION_PATTERN } from '../../operator/api/duration.ts';

const text = z.string();
const name = z.string().regex(/^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$/);
const label = z.string().regex(/^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$/);
const labels = z.record(z.string().max(317), label);
const annotations = z.record(z.string().max(317), z.string());
const duration = z.string().regex(DURATION_PATTERN);
const quantity = z.union([z.string().regex(/^[0-9]+(\.[0-9]+)?([kMGTPE]i?|m)?$/), z.number().nonnegative()]);
const port = z.int().min(1).max(65_535);
const countOrPercentage = z.union([z.int().min(0), z.string().regex(/^(100|[0-9]{1,2})%$/)]);
const pullPolicy = z.enum(['Always', 'IfNotPresent', 'Never']);
const logLevel = z.enum(['error', 'warn', 'info', 'debug']);
const digest = z.string().regex(/^(sha256:[0-9a-f]{64})?$/);
const registryHost = z.string().regex(/^[A-Za-z0-9._-]+(:[0-9]{1,5})?$/);
const proxy = z.string().regex(/^(https?:\/\/[^/@\s]+\/?)?$/);
const traceEndpoint = z.string().regex(/^(https?:\/\/[^/@?#\s]+(\/[^@?#\s]*)?)?$/);
const resources = z.strictObject({
  requests: z.record(z.string(), quantity).optional(),
  limits: z.record(z.string(), quantity).optional(),
});
const tolerations = z.array(
  z.strictObject({
    key: z.string().optional(),
    operator: z.enum(['Exists', 'Equal', 'Lt', 'Gt']).optional(),
    value: z.string().optional(),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
    tolerationSeconds: z.int().optional(),
  }),
);
const anything = z.record(z.string(), z.unknown());
const affinity = z.strictObject({
  nodeAffinity: anything.optional(),
  podAffinity: anything.optional(),
  podAntiAffinity: anything.optional(),
});
const extraEnv = z.array(
  z.strictObject({ name: z.string().min(1), value: z.string().optional(), valueFrom: anything.optional() }),
);
const named = z.array(z.strictObject({ name: z.string().min(1) }));
const peers = z.array(z.strictObject({ cidr: z.string().regex(/^[0-9a-fA-F.:]+\/[0-9]{1,3}$/), port }));
const scheduling = { nodeSelector: labels, tolerations, affinity, priorityClassName: name };
const monitor = z.strictObject({ enabled: z.boolean(), interval: duration, labels });

const manager = z.strictObject({
  replicas: z.int().min(0),
  logLevel,
  workers: z.int().min(1).max(256),
  resources,
  ...scheduling,
  topologySpreadConstraints: z.array(anything),
  podDisruptionBudget: z.strictObject({ enabled: z.boolean(), maxUnavailable: countOrPercentage }),
  podLabels: labels,
  podAnnotations: annotations,
  extraArgs: z.array(text),
  extraEnv,
  extraEnvFrom: z.array(anything),
  extraVolumes: z.array(anything),
  extraVolumeMounts: z.array(anything),
});

const bootRegistry = z.strictObject({
  enabled: z.boolean(),
  port,
  healthPort: port,
  logLevel,
  resources,
  ...scheduling,
  maxUnavailable: countOrPercentage,
  podLabels: labels,
  podAnnotations: annotations,
  extraArgs: z.array(text),
  extraEnv,
  serviceAccount: z.strictObject({ annotations }),
});

const embedded = z.strictObject({
  enabled: z.boolean(),
  image: z.strictObject({ repository: z.string().min(1), tag: text, digest, pullPolicy }),
  persistence: z.strictObject({
    enabled: z.boolean(),
    size: quantity,
    storageClassName: name,
    accessModes: z.array(z.enum(['ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany', 'ReadOnlyMany'])),
    annotations,
  }),
  resources,
  ...scheduling,
  podLabels: labels,
  podAnnotations: annotations,
  extraArgs: z.array(text),
  extraEnv,
});

const storage = z.strictObject({
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  region: z.string().min(1),
  gracePeriod: duration,
  embedded,
  external: z.strictObject({
    endpoint: z.string().regex(/^(https?:\/\/[^/\s]+)?$/),
    forcePathStyle: z.boolean(),
    credentialsSecret: name,
    ca: z.strictObject({ configMap: name, secret: name, key: z.string().min(1) }),
  }),
});

const metrics = z.strictObject({
  serviceMonitor: monitor,
  podMonitor: monitor,
  prometheusRule: z.strictObject({
    enabled: z.boolean(),
    labels,
    alertLabels: annotations,
    disabled: z.array(z.string()),
    runbookURL: text,
  }),
  dashboards: z.strictObject({ enabled: z.boolean(), labels, annotations }),
});

/** The chart's values. What Helm is given over the defaults is checked against this before anything is rendered. */
export const chartValues = z.strictObject({
  global: anything.optional(),
  nameOverride: label,
  fullnameOverride: label,
  commonLabels: labels,
  commonAnnotations: annotations,
  extraObjects: z.array(z.union([z.string(), anything])),
  image: z.strictObject({ repository: z.string().min(1), tag: text, digest, pullPolicy }),
  imagePullSecrets: named,
  crds: z.strictObject({ enabled: z.boolean(), keep: z.boolean() }),
  rbac: z.strictObject({ create: z.boolean(), tokenReviews: z.boolean(), aggregate: z.boolean() }),
  serviceAccount: z.strictObject({ create: z.boolean(), name, annotations }),
  watchNamespace: label,
  manager,
  certificate: z.strictObject({
    certManager: z.strictObject({
      enabled: z.boolean(),
      issuerRef: z.strictObject({
        name: z.string().optional(),
        kind: z.string().optional(),
        group: z.string().optional(),
      }),
      duration,
      renewBefore: duration,
    }),
  }),
  builds: z.strictObject({
    resources,
    workSize: quantity,
    nodeSelector: labels,
    tolerations,
    priorityClassName: name,
    imagePullSecrets: z.array(z.string().min(1)),
    serviceAccount: z.string().min(1),
    jobTTL: duration,
    maxConcurrent: z.int().min(0),
    maxConcurrentPerNamespace: z.int().min(0),
    cacheSharing: z.enum(['Image', 'Namespace', 'Cluster']),
    cacheMaxAge: duration,
    cacheMaxSize: quantity,
    insecureRegistries: z.array(z.string().min(1)),
    registryMirrors: z.record(registryHost, z.array(z.string().regex(/^[^\s/@?#,=]+(\/[^\s@?#,]*)?$/))),
    registryCAs: z.record(
      z.string().regex(/^(\*|[A-Za-z0-9._-]+(:[0-9]{1,5})?)$/),
      z.string().regex(/-----BEGIN CERTIFICATE-----/),
    ),
    limits: z.record(z.string().regex(/^[a-z][A-Za-z]*$/), z.int().min(1)),
    proxy: z.strictObject({ http: proxy, https: proxy, noProxy: text }),
  }),
  machines: z.strictObject({
    maxRestarts: z.int().min(0),
    maxRestartsPerNamespace: z.int().min(0),
    maxRestartsPerNode: z.int().min(0),
  }),
  bootRegistry,
  storage,
  networkPolicy: z.strictObject({
    enabled: z.boolean(),
    apiServer: peers,
    externalStorage: peers,
    collector: peers,
    nodeCIDRs: z.array(z.string()),
    metricsFrom: z.array(anything),
    builds: z.strictObject({ namespaces: z.array(label), registries: peers }),
  }),
  metrics,
  tracing: z.strictObject({
    endpoint: traceEndpoint,
    samplingRatio: z.number().min(0).max(1),
    headers: z.strictObject({ secret: name, key: z.string().min(1) }),
    builds: z.strictObject({ enabled: z.boolean(), endpoint: traceEndpoint }),
  }),
  tests: z.strictObject({
    enabled: z.boolean(),
    boot: z.boolean(),
    timeout: duration,
    nodeSelector: labels,
    tolerations,
    bootImage: z.strictObject({
      repository: z.string().min(1).optional(),
      pushSecretName: name.optional(),
      pullSecretName: name.optional(),
    }),
    memory: quantity,
    config: anything,
  }),
});
