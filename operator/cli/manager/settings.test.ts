import { Command, CommanderError } from 'commander';
import { afterEach, expect, test } from 'vitest';
import { addManagerOptions, type ManagerSettings } from './settings.ts';

const REQUIRED = ['--artifacts-host=artifacts.system.svc', '--builder-image=operator:1'];
const saved = { ...process.env };

afterEach(() => {
  process.env = { ...saved };
});

function parsed(args: readonly string[], env: Readonly<Record<string, string>> = {}): ManagerSettings {
  process.env = { ...env };
  const command = addManagerOptions(
    new Command('manager').exitOverride().configureOutput({ writeErr: () => undefined }),
  );
  return command.parse(args, { from: 'user' }).opts();
}

test('with what must be given, the rest has sensible defaults', () => {
  expect(parsed(REQUIRED)).toEqual({
    lease: 'linuxkit-operator',
    healthListen: '0.0.0.0',
    healthPort: 8081,
    artifactsListen: '0.0.0.0',
    artifactsPort: 8443,
    artifactsHost: 'artifacts.system.svc',
    certificateGiven: false,
    certificateSecret: 'linuxkit-operator-artifacts-tls',
    builderImage: 'operator:1',
    builderImagePullPolicy: 'IfNotPresent',
    builderImagePullSecret: [],
    builderServiceAccount: 'default',
    builderResources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { memory: '1Gi' } },
    builderWorkSize: '20Gi',
    builderNodeSelector: {},
    builderTolerations: [],
    insecureRegistry: [],
    registryMirror: {},
    buildLimit: {},
    registryCa: {},
    bootRegistry: '127.0.0.1:5117',
    jobTtl: 3_600_000,
    artifactGrace: 3_600_000,
    workers: 4,
    maxBuilds: 10,
    maxBuildsPerNamespace: 4,
    cacheSharing: 'Namespace',
    cacheMaxAge: 720 * 3_600_000,
    cacheMaxSize: '20Gi',
    maxRestarts: 10,
    maxRestartsPerNamespace: 0,
    maxRestartsPerNode: 3,
    logLevel: 'info',
  });
});

test('what is given replaces defaults, and repeated flags add up', () => {
  const settings = parsed([
    ...REQUIRED,
    '--builder-resources={"limits":{"memory":"2Gi","cpu":2}}',
    '--builder-node-selector=a=b',
    '--builder-tolerations=[{"key":"pool","operator":"Exists"}]',
    '--builder-priority-class=low',
    '--builder-node-selector=c=',
    '--insecure-registry=one:5000',
    '--insecure-registry=two',
    '--registry-mirror=docker.io=mirror.example/hub',
    '--registry-mirror=docker.io=other.example:5000',
    '--registry-mirror=quay.io=mirror.example/quay',
    '--registry-ca=mirror.example=/ca/mirror.pem',
    '--registry-ca=*=/ca/all.pem',
    '--build-limit=maxRedirects=2',
    '--build-limit=maxTarBytes=1000',
    '--builder-https-proxy=http://proxy.example:3128',
    '--builder-no-proxy=.svc,10.0.0.0/8',
    '--builder-trace-endpoint=http://collector.monitoring:4318',
    '--job-ttl=90s',
  ]);
  expect(settings).toMatchObject({
    builderResources: { limits: { memory: '2Gi', cpu: 2 } },
    builderNodeSelector: { a: 'b', c: '' },
    builderTolerations: [{ key: 'pool', operator: 'Exists' }],
    builderPriorityClass: 'low',
    insecureRegistry: ['one:5000', 'two'],
    registryMirror: {
      'docker.io': ['mirror.example/hub', 'other.example:5000'],
      'quay.io': ['mirror.example/quay'],
    },
    registryCa: { 'mirror.example': '/ca/mirror.pem', '*': '/ca/all.pem' },
    buildLimit: { maxRedirects: 2, maxTarBytes: 1000 },
    builderHttpsProxy: 'http://proxy.example:3128',
    builderNoProxy: '.svc,10.0.0.0/8',
    builderTraceEndpoint: 'http://collector.monitoring:4318',
    jobTtl: 90_000,
  });
  expect(settings.builderResources).not.toHaveProperty('requests');
});

test.each<[string, readonly string[], Readonly<Record<string, string>>]>([
  ['a flag', ['--no-boot-registry'], {}],
  ['the environment', [], { LINUXKIT_NO_BOOT_REGISTRY: 'true' }],
])('that nodes run no boot registry is told by %s', (_, args, env) => {
  expect(parsed([...REQUIRED, ...args], env)).toMatchObject({ bootRegistry: false });
});

test('variables of the environment stand for flags, lists with commas', () => {
  const env = {
    POD_NAME: 'p',
    POD_NAMESPACE: 'n',
    LINUXKIT_WORKERS: '8',
    LINUXKIT_INSECURE_REGISTRY: 'a, b',
    LINUXKIT_REGISTRY_MIRROR: 'a=b, a=c',
    LINUXKIT_ARTIFACTS_HOST: 'x:1',
    LINUXKIT_BUILDER_IMAGE: 'y',
  };
  expect(parsed([], env)).toMatchObject({
    identity: 'p',
    namespace: 'n',
    workers: 8,
    insecureRegistry: ['a', 'b'],
    registryMirror: { a: ['b', 'c'] },
    artifactsHost: 'x:1',
  });
});

test.each([
  ['nothing that must be given', []],
  ['a port that is none', [...REQUIRED, '--health-port=70000']],
  ['a bound below none', [...REQUIRED, '--max-restarts=-1']],
  ['no worker', [...REQUIRED, '--workers=0']],
  ['a host with a path', ['--artifacts-host=a/b', '--builder-image=x']],
  ['a duration without unit', [...REQUIRED, '--job-ttl=90']],
  ['a size that is none', [...REQUIRED, '--builder-work-size=much']],
  ['resources that are no JSON', [...REQUIRED, '--builder-resources=cpu=1']],
  ['resources of another shape', [...REQUIRED, '--builder-resources={"limit":{}}']],
  ['tolerations of another shape', [...REQUIRED, '--builder-tolerations=[{"effect":"Never"}]']],
  ['a selector without value', [...REQUIRED, '--builder-node-selector=a']],
  ['a mirror of nothing', [...REQUIRED, '--registry-mirror=mirror.example']],
  ['a mirror of a repository', [...REQUIRED, '--registry-mirror=docker.io/library=mirror.example']],
  ['a mirror with credentials', [...REQUIRED, '--registry-mirror=docker.io=me@mirror.example']],
  ['an authority without a file', [...REQUIRED, '--registry-ca=mirror.example=']],
  ['a proxy that is none', [...REQUIRED, '--builder-http-proxy=socks5://proxy.example']],
  ['a proxy with a password', [...REQUIRED, '--builder-https-proxy=http://me:secret@proxy.example']],
  ['a collector that is none', [...REQUIRED, '--builder-trace-endpoint=collector:4318']],
  ['a collector with a password', [...REQUIRED, '--builder-trace-endpoint=http://me:secret@collector:4318']],
  ['a level that is none', [...REQUIRED, '--log-level=loud']],
])('refuses %s', (_, args) => {
  expect(() => parsed(args)).toThrow(CommanderError);
});
