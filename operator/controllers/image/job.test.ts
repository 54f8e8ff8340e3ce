import { expect, test } from 'vitest';
import { BUILD_PATHS } from '../../api/names.ts';
import type { OwnerReference } from '../../runtime/objects.ts';
import { buildRequest, requestConfigMap } from './build-request.ts';
import { CONFIG, imageWith } from './image-under-test.ts';
import { type Attempt, type BuilderSettings, buildJob } from './job.ts';

const owner: OwnerReference = {
  apiVersion: 'linuxkit.dev/v1alpha1',
  kind: 'LinuxKitImage',
  name: 'web',
  uid: 'u',
  controller: true,
  blockOwnerDeletion: true,
};
const attempt: Attempt = {
  name: 'web-0123456789',
  hash: '0123456789abcdef'.repeat(4),
  reason: 'Created',
  startTime: '2026-01-01T00:00:00Z',
};
const settings: BuilderSettings = {
  image: 'operator:1',
  imagePullPolicy: 'IfNotPresent',
  args: ['build-job'],
  resources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { memory: '1Gi' } },
  workSize: '20Gi',
};
const everything = {
  config: undefined,
  configFrom: { secretKeyRef: { name: 'linuxkit', key: 'config.yaml' } },
  files: [
    { path: '/etc/motd', contentsFrom: { configMapKeyRef: { name: 'motd', key: 'text' } } },
    { path: '/etc/key', mode: '0600', contentsFrom: { secretKeyRef: { name: 'key', key: 'id' } } },
  ],
  imagePullSecrets: [{ name: 'ghcr' }, { name: 'quay' }],
  bootImage: { repository: 'registry.example:5000/boot', pushSecretName: 'push', pullSecretName: 'pull' },
  verification: {
    publicKeys: [
      { pem: '-----BEGIN PUBLIC KEY-----' },
      { configMapKeyRef: { name: 'keys', key: 'cosign.pub' } },
    ],
    identities: [{ issuer: 'https://issuer.example', subjectPattern: '.*@team[.]example' }],
    trustedRoot: { configMapKeyRef: { name: 'sigstore', key: 'root.json' } },
  },
  build: {
    resources: { requests: { cpu: 2 }, limits: { memory: '4Gi' } },
    nodeSelector: { 'kubernetes.io/arch': 'amd64' },
    tolerations: [{ key: 'builds', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    priorityClassName: 'low',
    timeout: '1h30m',
    retries: 5,
  },
};
const made = (spec: Record<string, unknown> = {}, more: Partial<BuilderSettings> = {}) =>
  buildJob(imageWith({ spec }), attempt, owner, { ...settings, ...more });
const podOf = (job: ReturnType<typeof made>) => {
  const spec = job.spec?.template.spec;
  const [container] = spec?.containers ?? [];
  if (spec === undefined || container === undefined) throw new Error('there is no container');
  return { spec, container };
};

/** Pod Security Standards, "Restricted", as far as a Linux pod of ours can offend. */
test.each([
  ['least', {}],
  ['most', everything],
])('with the %s spec it satisfies the restricted level', (_, change) => {
  const { spec, container } = podOf(made(change));
  expect(spec.securityContext).toMatchObject({
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  expect(container.securityContext).toMatchObject({
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    privileged: false,
    readOnlyRootFilesystem: true,
  });
  expect(spec).not.toHaveProperty('hostNetwork');
  expect(spec).not.toHaveProperty('hostPID');
  for (const volume of spec.volumes ?? []) {
    expect(['configMap', 'emptyDir', 'projected']).toContain(
      Object.keys(volume).find((key) => key !== 'name'),
    );
  }
});

test('a build that is traced is told where and as part of what, and is the same build', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const traceEndpoint = 'http://collector.monitoring:4318';
  const job = (more: Partial<BuilderSettings>, parent?: string) =>
    buildJob(imageWith({}), attempt, owner, { ...settings, ...more }, parent);
  const added = [
    { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: traceEndpoint },
    { name: 'TRACEPARENT', value: traceparent },
  ];
  const untraced = job({});
  const traced = job({ traceEndpoint }, traceparent);
  expect(podOf(traced).container.env).toEqual([...(podOf(untraced).container.env ?? []), ...added]);
  expect(traced.metadata).toEqual(untraced.metadata);
  // Nothing to go on with, or nowhere to send it: such a build loads nothing and sends nothing.
  expect(job({ traceEndpoint })).toEqual(untraced);
  expect(job({}, traceparent)).toEqual(untraced);
});

test('it can reach nothing of the API, and holds one token, for the artifact endpoint', () => {
  const { spec } = podOf(made(everything));
  expect(spec).toMatchObject({
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    serviceAccountName: 'default',
  });
  const tokens = (spec.volumes ?? [])
    .flatMap(({ projected }) => projected?.sources ?? [])
    .flatMap(({ serviceAccountToken }) => serviceAccountToken ?? []);
  expect(tokens).toEqual([{ audience: 'artifacts.linuxkit.dev', expirationSeconds: 3600, path: 'token' }]);
});

test('what the spec names is mounted where the build looks for it', () => {
  const { spec, container } = podOf(made(everything));
  const mounts = Object.fromEntries(
    (container.volumeMounts ?? []).map(({ name, mountPath }) => [name, mountPath]),
  );
  const source = (name: string) =>
    (spec.volumes ?? []).find((volume) => volume.name === name)?.projected?.sources;
  expect(`${mounts['request']}/request.json`).toBe(BUILD_PATHS.request);
  expect(`${mounts['token']}/token`).toBe(BUILD_PATHS.token);
  expect(mounts).toMatchObject({
    work: BUILD_PATHS.work,
    config: BUILD_PATHS.config,
    files: BUILD_PATHS.files,
    'pull-secrets': BUILD_PATHS.pullSecrets,
    verification: BUILD_PATHS.verification,
    'push-secret': BUILD_PATHS.pushSecret,
  });
  expect(source('config')).toEqual([
    { secret: { name: 'linuxkit', items: [{ key: 'config.yaml', path: 'config.yaml' }] } },
  ]);
  expect(source('files')).toEqual([
    { configMap: { name: 'motd', items: [{ key: 'text', path: '0/text' }] } },
    { secret: { name: 'key', items: [{ key: 'id', path: '1/id' }] } },
  ]);
  expect(source('pull-secrets')?.map(({ secret }) => secret?.items?.[0]?.path)).toEqual([
    'ghcr/.dockerconfigjson',
    'quay/.dockerconfigjson',
  ]);
  const credentials = { key: '.dockerconfigjson', path: '.dockerconfigjson' };
  expect(source('push-secret')).toEqual([{ secret: { name: 'push', items: [credentials] } }]);
  // It is for nodes.
  expect(JSON.stringify(spec)).not.toContain('"pull"');
  expect(source('verification')).toEqual([
    { configMap: { name: 'keys', items: [{ key: 'cosign.pub', path: 'keys/1/cosign.pub' }] } },
    { configMap: { name: 'sigstore', items: [{ key: 'root.json', path: 'trusted-root/root.json' }] } },
  ]);
  const request = buildRequest(imageWith({ spec: everything }), undefined, {
    endpoint: { url: 'u', caBundle: 'c' },
    registries: { insecureRegistries: [] },
  });
  expect(request).toMatchObject({
    config: { file: 'config.yaml' },
    files: [{ file: '0/text' }, { file: '1/id', mode: '0600' }],
    pullSecrets: ['ghcr', 'quay'],
    bootImage: { repository: 'registry.example:5000/boot', pushSecret: 'push' },
    verification: {
      publicKeys: [{ pem: '-----BEGIN PUBLIC KEY-----' }, { file: 'keys/1/cosign.pub' }],
      identities: [{ issuer: 'https://issuer.example', subjectPattern: '.*@team[.]example' }],
      trustedRoot: 'trusted-root/root.json',
    },
  });
});

test('a registry that asks for no credentials has none mounted', () => {
  const bootImage = { repository: 'registry.example/boot' };
  expect(podOf(made({ bootImage }))).toEqual(podOf(made()));
  const request = buildRequest(imageWith({ spec: { bootImage } }), CONFIG, {
    endpoint: { url: 'u', caBundle: 'c' },
    registries: { insecureRegistries: [] },
  });
  expect(request.bootImage).toEqual(bootImage);
});

test('keys that are all in the spec are not mounted', () => {
  const verification = { publicKeys: [{ pem: '-----BEGIN PUBLIC KEY-----' }] };
  const config = { ...CONFIG, trust: { org: ['team'] } };
  const { spec, container } = podOf(made({ config, verification }));
  expect([...(spec.volumes ?? []), ...(container.volumeMounts ?? [])].map(({ name }) => name)).not.toContain(
    'verification',
  );
});

test('registries are reached by way of the proxies that the operator was told of', () => {
  const proxied = podOf(
    made({}, { proxy: { http: 'http://a:1', https: 'http://b:2', none: '.svc,10.0.0.0/8' } }),
  );
  expect(proxied.container.env).toEqual(
    expect.arrayContaining([
      { name: 'HTTP_PROXY', value: 'http://a:1' },
      { name: 'HTTPS_PROXY', value: 'http://b:2' },
      { name: 'NO_PROXY', value: '.svc,10.0.0.0/8' },
    ]),
  );
  expect(podOf(made()).container.env?.map(({ name }) => name)).toEqual(['TMPDIR', 'HOME']);
});

test('spec.build decides how and where, resource by resource', () => {
  const job = made(everything, {
    nodeSelector: { pool: 'builds' },
    tolerations: [{ key: 'pool', operator: 'Exists' }],
    priorityClassName: 'builds',
    imagePullSecrets: ['own'],
    serviceAccount: 'builder',
  });
  const { spec, container } = podOf(job);
  expect(job.spec?.backoffLimit).toBe(5);
  expect(spec).toMatchObject({
    activeDeadlineSeconds: 5400,
    priorityClassName: 'low',
    serviceAccountName: 'builder',
    imagePullSecrets: [{ name: 'own' }],
    nodeSelector: { pool: 'builds', 'kubernetes.io/arch': 'amd64', 'kubernetes.io/os': 'linux' },
    tolerations: [
      { key: 'pool', operator: 'Exists' },
      { key: 'builds', operator: 'Exists' },
    ],
  });
  expect(podOf(made({}, { priorityClassName: 'builds' })).spec.priorityClassName).toBe('builds');
  expect(podOf(made()).spec).not.toHaveProperty('tolerations');
  expect(container.resources).toEqual({ requests: { cpu: '2', memory: '256Mi' }, limits: { memory: '4Gi' } });
  expect(podOf(made()).spec.activeDeadlineSeconds).toBe(1800);
});

test('Job, pod and request carry the labels by which the artifact endpoint knows a build, and belong to the image', () => {
  const job = made();
  const map = requestConfigMap(
    buildRequest(imageWith(), CONFIG, {
      endpoint: { url: 'u', caBundle: 'c' },
      registries: { insecureRegistries: [] },
    }),
    { ...attempt, owner },
  );
  for (const labels of [job.metadata.labels, job.spec?.template.metadata?.labels, map.metadata.labels]) {
    expect(labels).toMatchObject({ 'linuxkit.dev/image': 'web', 'linuxkit.dev/build': '0123456789abcdef' });
  }
  expect(job.metadata.ownerReferences).toEqual([owner]);
  expect(map.metadata.ownerReferences).toEqual([owner]);
  expect(job.metadata.annotations).toMatchObject({
    'linuxkit.dev/build-hash': attempt.hash,
    'linuxkit.dev/build-attempt': attempt.startTime,
  });
});

test('a failure for good ends the Job at its first pod', () => {
  expect(made().spec?.podFailurePolicy).toEqual({
    rules: [{ action: 'FailJob', onExitCodes: { containerName: 'build', operator: 'In', values: [65] } }],
  });
});
