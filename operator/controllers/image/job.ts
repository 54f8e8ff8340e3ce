import type { V1Container, V1PodSpec, V1Volume } from '@kubernetes/client-node';
import { durationMilliseconds } from '../../api/duration.ts';
import type { BuildReason, ImageSpec, LinuxKitImage } from '../../api/image.ts';
import { ARTIFACT_AUDIENCE, BUILD_PATHS } from '../../api/names.ts';
import { BUILD_EXIT } from '../../build/record.ts';
import type { OwnerReference, Wire } from '../../runtime/objects.ts';
import type { Job } from '../../runtime/resources.ts';
import { buildLabels, publicKeyPath, REQUEST_KEY, trustedRootPath } from './build-request.ts';
import { ANNOTATION_ATTEMPT, ANNOTATION_HASH, ANNOTATION_REASON } from './objects.ts';

export interface BuilderSettings {
  /** The operator's own image. */
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** What follows the image's entry point. */
  readonly args: readonly string[];
  /** For what an image's `spec.build.resources` leaves out. */
  readonly resources: {
    readonly requests?: Readonly<Record<string, string | number>>;
    readonly limits?: Readonly<Record<string, string | number>>;
  };
  /** Limit of the scratch volume, a quantity. */
  readonly workSize: string;
  /** Secrets for the operator's own image; they must exist in the image's namespace. */
  readonly imagePullSecrets?: readonly string[];
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** Besides those of an image's `spec.build`. */
  readonly tolerations?: NonNullable<ImageSpec['build']>['tolerations'];
  /** Where an image names none. */
  readonly priorityClassName?: string;
  /** In the image's namespace; it needs no rights. Default `default`. */
  readonly serviceAccount?: string;
  /** By way of which proxies registries are reached. Whoever may read Jobs may read it: without credentials. */
  readonly proxy?: { readonly http?: string; readonly https?: string; readonly none?: string };
  /**
   * Where builds send their traces, an address of OTLP over HTTP; without it they send none. No headers go with it:
   * what a build pod holds, whoever may make images in its namespace can have.
   */
  readonly traceEndpoint?: string;
}

export interface Attempt {
  /** Of the Job and of the request ConfigMap. */
  readonly name: string;
  readonly hash: string;
  readonly reason: BuildReason;
  /** `status.build.startTime`. */
  readonly startTime: string;
}

/** `node`'s own user in the operator's image; build pods run as nobody else. */
const USER = 65532;
const TOKEN_SECONDS = 3600;
const DEFAULT_TIMEOUT_S = 1800;

type PodSpec = Wire<V1PodSpec>;
type Volume = Wire<V1Volume>;
type Container = Wire<V1Container>;

/**
 * The build Job of an image: a pure function. Its pod satisfies the restricted Pod Security level,
 * holds no API rights and no storage credentials, and sees of the namespace's Secrets what the spec
 * names and nothing else.
 */
export function buildJob(
  image: LinuxKitImage,
  attempt: Attempt,
  owner: OwnerReference,
  settings: BuilderSettings,
  traceparent?: string,
): Job {
  const { spec, metadata } = image;
  const labels = buildLabels(metadata.name, attempt.hash);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: attempt.name,
      namespace: metadata.namespace,
      labels,
      annotations: {
        [ANNOTATION_HASH]: attempt.hash,
        [ANNOTATION_REASON]: attempt.reason,
        [ANNOTATION_ATTEMPT]: attempt.startTime,
      },
      ownerReferences: [owner],
    },
    spec: {
      backoffLimit: spec.build?.retries ?? 2,
      completions: 1,
      parallelism: 1,
      // One pod at a time: the next only when the last one is gone, so that two never upload at once.
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [
          {
            action: 'FailJob',
            onExitCodes: { containerName: 'build', operator: 'In', values: [BUILD_EXIT.failedForGood] },
          },
        ],
      },
      template: {
        metadata: {
          labels,
          annotations: { 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false' },
        },
        spec: podSpec(spec, attempt, settings, traceparent),
      },
    },
  };
}

function podSpec(
  spec: ImageSpec,
  attempt: Attempt,
  settings: BuilderSettings,
  traceparent: string | undefined,
): PodSpec {
  const { build } = spec;
  const nodeSelector = { 'kubernetes.io/os': 'linux', ...settings.nodeSelector, ...build?.nodeSelector };
  const tolerations = [...(settings.tolerations ?? []), ...(build?.tolerations ?? [])];
  const priorityClassName = build?.priorityClassName ?? settings.priorityClassName;
  const pullSecrets = settings.imagePullSecrets ?? [];
  return {
    restartPolicy: 'Never',
    // Of one try. A Job's own deadline would also count the time before a node is found.
    activeDeadlineSeconds: timeoutSeconds(spec),
    serviceAccountName: settings.serviceAccount ?? 'default',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 10,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    nodeSelector,
    ...(tolerations.length === 0 ? {} : { tolerations }),
    ...(build?.affinity === undefined ? {} : { affinity: build.affinity }),
    ...(priorityClassName === undefined ? {} : { priorityClassName }),
    ...(pullSecrets.length === 0 ? {} : { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
    containers: [buildContainer(spec, settings, traceparent)],
    volumes: volumes(spec, attempt, settings),
  };
}

function buildContainer(
  spec: ImageSpec,
  settings: BuilderSettings,
  traceparent: string | undefined,
): Container {
  return {
    name: 'build',
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    args: settings.args,
    env: [
      { name: 'TMPDIR', value: BUILD_PATHS.work },
      { name: 'HOME', value: BUILD_PATHS.work },
      ...proxyEnv(settings.proxy),
      ...traceEnv(settings.traceEndpoint, traceparent),
    ],
    resources: {
      requests: mergedQuantities(settings.resources.requests, spec.build?.resources?.requests),
      limits: mergedQuantities(settings.resources.limits, spec.build?.resources?.limits),
    },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
    },
    terminationMessagePath: BUILD_PATHS.terminationMessage,
    terminationMessagePolicy: 'File',
    volumeMounts: [
      { name: 'request', mountPath: folderOf(BUILD_PATHS.request), readOnly: true },
      { name: 'token', mountPath: folderOf(BUILD_PATHS.token), readOnly: true },
      { name: 'work', mountPath: BUILD_PATHS.work },
      ...(spec.configFrom === undefined
        ? []
        : [{ name: 'config', mountPath: BUILD_PATHS.config, readOnly: true }]),
      ...((spec.files ?? []).length === 0
        ? []
        : [{ name: 'files', mountPath: BUILD_PATHS.files, readOnly: true }]),
      ...(verificationSources(spec).length === 0
        ? []
        : [{ name: 'verification', mountPath: BUILD_PATHS.verification, readOnly: true }]),
      ...((spec.imagePullSecrets ?? []).length === 0
        ? []
        : [{ name: 'pull-secrets', mountPath: BUILD_PATHS.pullSecrets, readOnly: true }]),
      ...(spec.bootImage?.pushSecretName === undefined
        ? []
        : [{ name: 'push-secret', mountPath: BUILD_PATHS.pushSecret, readOnly: true }]),
    ],
  };
}

function volumes(spec: ImageSpec, attempt: Attempt, settings: BuilderSettings): Volume[] {
  const files = spec.files ?? [];
  const pullSecrets = spec.imagePullSecrets ?? [];
  const verification = verificationSources(spec);
  const pushSecret = spec.bootImage?.pushSecretName;
  return [
    {
      name: 'request',
      configMap: { name: attempt.name, items: [{ key: REQUEST_KEY, path: baseOf(BUILD_PATHS.request) }] },
    },
    {
      name: 'token',
      projected: {
        sources: [
          {
            serviceAccountToken: {
              audience: ARTIFACT_AUDIENCE,
              expirationSeconds: TOKEN_SECONDS,
              path: baseOf(BUILD_PATHS.token),
            },
          },
        ],
      },
    },
    { name: 'work', emptyDir: { sizeLimit: settings.workSize } },
    ...(spec.configFrom === undefined
      ? []
      : [{ name: 'config', projected: { sources: [projection(spec.configFrom, (key) => key)] } }]),
    ...(files.length === 0
      ? []
      : [
          {
            name: 'files',
            projected: {
              sources: files.map((file, index) => projection(file.contentsFrom, (key) => `${index}/${key}`)),
            },
          },
        ]),
    ...(verification.length === 0
      ? []
      : [{ name: 'verification', projected: { sources: [...verification] } }]),
    ...(pullSecrets.length === 0
      ? []
      : [
          {
            name: 'pull-secrets',
            projected: {
              sources: pullSecrets.map(({ name }) => ({
                secret: { name, items: [{ key: '.dockerconfigjson', path: `${name}/.dockerconfigjson` }] },
              })),
            },
          },
        ]),
    ...(pushSecret === undefined
      ? []
      : [
          {
            name: 'push-secret',
            projected: {
              sources: [
                {
                  secret: {
                    name: pushSecret,
                    items: [{ key: '.dockerconfigjson', path: '.dockerconfigjson' }],
                  },
                },
              ],
            },
          },
        ]),
  ];
}

/** What of `verification` is in ConfigMaps. */
function verificationSources({ verification }: ImageSpec): readonly ReturnType<typeof projection>[] {
  const { publicKeys = [], trustedRoot } = verification ?? {};
  return [
    ...publicKeys.flatMap((source, index) =>
      source.configMapKeyRef === undefined ? [] : [projection(source, (key) => publicKeyPath(index, key))],
    ),
    ...(trustedRoot === undefined ? [] : [projection(trustedRoot, trustedRootPath)]),
  ];
}

function proxyEnv(proxy: BuilderSettings['proxy'] = {}): { readonly name: string; readonly value: string }[] {
  const values = { HTTP_PROXY: proxy.http, HTTPS_PROXY: proxy.https, NO_PROXY: proxy.none };
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
}

/** Only for a build that somebody follows: the others have nothing to send. */
function traceEnv(
  endpoint: string | undefined,
  traceparent: string | undefined,
): { readonly name: string; readonly value: string }[] {
  if (endpoint === undefined || traceparent === undefined) return [];
  return [
    { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: endpoint },
    { name: 'TRACEPARENT', value: traceparent },
  ];
}

/** None is optional: the pod waits for what is not there yet, and the controller says for what. */
function projection(
  source: Partial<NonNullable<ImageSpec['configFrom']>>,
  pathOf: (key: string) => string,
): { readonly configMap?: Projection; readonly secret?: Projection } {
  const { configMapKeyRef, secretKeyRef } = source;
  if (configMapKeyRef !== undefined) {
    return {
      configMap: {
        name: configMapKeyRef.name,
        items: [{ key: configMapKeyRef.key, path: pathOf(configMapKeyRef.key) }],
      },
    };
  }
  const { name, key } = secretKeyRef ?? { name: '', key: '' };
  return { secret: { name, items: [{ key, path: pathOf(key) }] } };
}

interface Projection {
  readonly name: string;
  readonly items: readonly { readonly key: string; readonly path: string }[];
}

/** Resource by resource: an image that sets memory alone keeps the operator's cpu. */
function mergedQuantities(
  defaults: Readonly<Record<string, string | number>> | undefined,
  own: Readonly<Record<string, string | number>> | undefined,
): Record<string, string> {
  const merged = { ...defaults, ...own };
  return Object.fromEntries(Object.entries(merged).map(([name, quantity]) => [name, String(quantity)]));
}

export function timeoutSeconds(spec: ImageSpec): number {
  const ms = durationMilliseconds(spec.build?.timeout ?? '');
  return ms === undefined ? DEFAULT_TIMEOUT_S : Math.max(1, Math.ceil(ms / 1000));
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
