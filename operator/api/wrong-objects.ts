/**
 * Test data: objects that must be refused, each with the field and a part of the reason that the
 * person who applied it reads. Run against the schemas, and against a real API server that was
 * given the CRDs made of them.
 */

export type Json = Record<string, unknown>;

const DIGEST = `sha256:${'a'.repeat(64)}`;

export function validImage(spec: Json = {}, config: Json = {}): Json {
  return {
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitImage',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      config: { kernel: { image: 'registry.example/kernel:6.12', cmdline: 'console=ttyS0' }, ...config },
      ...spec,
    },
  };
}

export function validMachine(spec: Json = {}): Json {
  return {
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitMachine',
    metadata: { name: 'web', namespace: 'default' },
    spec: { imageRef: { name: 'web' }, memory: '512Mi', ...spec },
  };
}

/** Without these members: a way to say that a field is missing. */
export function without(object: Json, ...members: readonly string[]): Json {
  const spec = object['spec'] as Json;
  return {
    ...object,
    spec: Object.fromEntries(Object.entries(spec).filter(([key]) => !members.includes(key))),
  };
}

function named(object: Json, name: string): Json {
  return { ...object, metadata: { ...(object['metadata'] as Json), name } };
}

export interface WrongObject {
  readonly title: string;
  readonly object: Json;
  /** The path that the refusal names. */
  readonly field: string;
  /** Part of the reason that the API server gives. */
  readonly says: RegExp;
  /** Only the API server refuses it: it is about names, unknown fields, or other entries of a list. */
  readonly serverOnly?: true;
}

const configMapKey = { configMapKeyRef: { name: 'settings', key: 'linuxkit.yaml' } };
const secretKey = { secretKeyRef: { name: 'settings', key: 'linuxkit.yaml' } };
const key = { pem: '-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n' };
const trustedRoot = { configMapKeyRef: { name: 'sigstore', key: 'trusted_root.json' } };
const identity = { issuer: 'https://issuer.example', subject: 'build@team.example' };
const TRUST = { trust: { org: ['team'] } };
const verified = (verification: Json): Json => validImage({ verification }, TRUST);
const service = (name: string): Json => ({ name, image: 'registry.example/nginx:1' });
const file = (path: string, more: Json = {}): Json => ({ path, contentsFrom: configMapKey, ...more });
const disk = (more: Json): Json => ({ disks: [{ name: 'data', ...more }] });

export const WRONG_IMAGES: readonly WrongObject[] = [
  {
    title: 'neither config nor configFrom',
    object: without(validImage(), 'config'),
    field: 'spec',
    says: /exactly one of config and configFrom must be given/,
  },
  {
    title: 'both config and configFrom',
    object: validImage({ configFrom: configMapKey }),
    field: 'spec',
    says: /exactly one of config and configFrom must be given/,
  },
  {
    title: 'configFrom that names nothing',
    object: without(validImage({ configFrom: {} }), 'config'),
    field: 'spec.configFrom',
    says: /exactly one of configMapKeyRef and secretKeyRef/,
  },
  {
    title: 'configFrom that names both',
    object: without(validImage({ configFrom: { ...configMapKey, ...secretKey } }), 'config'),
    field: 'spec.configFrom',
    says: /exactly one of configMapKeyRef and secretKeyRef/,
  },
  {
    title: 'a configuration without a kernel',
    object: validImage({ config: { init: ['registry.example/init:1'] } }),
    field: 'spec.config',
    says: /kernel\.image is required/,
  },
  {
    title: 'an unknown field of the spec',
    object: validImage({ architectur: 'amd64' }),
    field: 'spec.architectur',
    says: /unknown field/,
    serverOnly: true,
  },
  {
    title: 'an unknown field of a service',
    object: validImage({}, { services: [{ ...service('web'), capabilites: ['CAP_CHOWN'] }] }),
    field: 'spec.config.services[0].capabilites',
    says: /unknown field/,
    serverOnly: true,
  },
  {
    title: 'two services of one name',
    object: validImage({}, { services: [service('web'), service('web')] }),
    field: 'spec.config.services[1]',
    says: /Duplicate value/,
    serverOnly: true,
  },
  {
    title: 'two volumes of one name',
    object: validImage({}, { volumes: [{ name: 'data' }, { name: 'data' }] }),
    field: 'spec.config.volumes[1]',
    says: /Duplicate value/,
    serverOnly: true,
  },
  {
    title: 'a service name that leads out of its folder',
    object: validImage({}, { services: [service('../../etc')] }),
    field: 'spec.config.services[0].name',
    says: /should match/,
  },
  {
    title: 'an onboot name that leads out of its folder',
    object: validImage({}, { onboot: [service('a/../b')] }),
    field: 'spec.config.onboot[0].name',
    says: /should match/,
  },
  {
    title: 'a service without image',
    object: validImage({}, { services: [{ name: 'web' }] }),
    field: 'spec.config.services[0].image',
    says: /Required value/,
  },
  {
    title: 'a file path of the configuration that leads out of the image',
    object: validImage({}, { files: [{ path: 'etc/../../passwd', contents: '' }] }),
    field: 'spec.config.files[0].path',
    says: /must not contain a '\.\.' segment/,
  },
  {
    title: 'a file of the configuration that reads the builder',
    object: validImage({}, { files: [{ path: 'etc/passwd', source: '/etc/passwd' }] }),
    field: 'spec.config.files[0]',
    says: /only for the command line/,
  },
  {
    title: 'an output format that no machine boots from',
    object: validImage({}, { outputs: [{ format: 'tar' }] }),
    field: 'spec.config.outputs[0].format',
    says: /Unsupported value: "tar": supported values: "kernel\+initrd"/,
  },
  {
    title: 'a mode that is not octal',
    object: validImage({}, { files: [{ path: 'etc/a', contents: '', mode: '0888' }] }),
    field: 'spec.config.files[0].mode',
    says: /should match/,
  },
  {
    title: 'a mode that YAML took for a number',
    object: validImage({}, { files: [{ path: 'etc/a', contents: '', mode: 420 }] }),
    field: 'spec.config.files[0].mode',
    says: /must be of type string/,
  },
  {
    title: 'a capability that does not exist',
    object: validImage({}, { services: [{ ...service('web'), capabilities: ['CAP_EVERYTHING'] }] }),
    field: 'spec.config.services[0].capabilities[0]',
    says: /Unsupported value/,
  },
  {
    title: 'a user id below zero',
    object: validImage({}, { services: [{ ...service('web'), uid: -1 }] }),
    field: 'spec.config.services[0].uid',
    says: /greater than or equal to 0/,
  },
  {
    title: 'a file path that leads out of the image',
    object: validImage({ files: [file('../etc/shadow')] }),
    field: 'spec.files[0].path',
    says: /must not contain the segments/,
  },
  {
    title: 'an empty segment in a file path',
    object: validImage({ files: [file('etc//shadow')] }),
    field: 'spec.files[0].path',
    says: /should match/,
  },
  {
    title: 'two files of one path',
    object: validImage({ files: [file('etc/a'), file('etc/a')] }),
    field: 'spec.files[1]',
    says: /Duplicate value/,
    serverOnly: true,
  },
  {
    title: 'a wrong mode of a file',
    object: validImage({ files: [file('etc/a', { mode: 'u+rw' })] }),
    field: 'spec.files[0].mode',
    says: /should match/,
  },
  {
    title: 'a file without contents',
    object: validImage({ files: [{ path: 'etc/a' }] }),
    field: 'spec.files[0].contentsFrom',
    says: /Required value/,
  },
  {
    title: 'a key with a slash',
    object: validImage({
      files: [{ path: 'etc/a', contentsFrom: { secretKeyRef: { name: 'a', key: '../b' } } }],
    }),
    field: 'spec.files[0].contentsFrom.secretKeyRef.key',
    says: /should match/,
  },
  {
    title: 'an architecture that is not built for',
    object: validImage({ architecture: 'x86_64' }),
    field: 'spec.architecture',
    says: /Unsupported value/,
  },
  {
    title: 'a compression that the kernel is not given',
    object: validImage({ compression: 'xz' }),
    field: 'spec.compression',
    says: /Unsupported value/,
  },
  {
    title: 'a timeout that is not a duration',
    object: validImage({ build: { timeout: '10 minutes' } }),
    field: 'spec.build.timeout',
    says: /should match/,
  },
  {
    title: 'a timeout of a second',
    object: validImage({ build: { timeout: '1s' } }),
    field: 'spec.build.timeout',
    says: /must lie between 10s and 24h/,
  },
  {
    title: 'too many retries',
    object: validImage({ build: { retries: 11 } }),
    field: 'spec.build.retries',
    says: /less than or equal to 10/,
  },
  {
    title: 'a resource that is not a quantity',
    object: validImage({ build: { resources: { limits: { memory: 'lots' } } } }),
    field: 'spec.build.resources.limits.memory',
    says: /should match/,
  },
  {
    title: 'a toleration of an effect that does not exist',
    object: validImage({ build: { tolerations: [{ effect: 'Never' }] } }),
    field: 'spec.build.tolerations[0].effect',
    says: /Unsupported value/,
  },
  {
    title: 'a refresh every second',
    object: validImage({ refresh: { interval: '1s' } }),
    field: 'spec.refresh.interval',
    says: /must lie between 1m and 8760h/,
  },
  {
    title: 'a negative history',
    object: validImage({ historyLimit: -1 }),
    field: 'spec.historyLimit',
    says: /greater than or equal to 0/,
  },
  {
    title: 'a pull secret twice',
    object: validImage({ imagePullSecrets: [{ name: 'a' }, { name: 'a' }] }),
    field: 'spec.imagePullSecrets[1]',
    says: /Duplicate value/,
    serverOnly: true,
  },
  ...(
    [
      ['with a tag', 'registry.example/team/boot:1', /must not carry a tag or a digest/],
      ['with a tag, after a port', 'registry.example:5000/boot:1', /must not carry a tag or a digest/],
      ['with a digest', `registry.example/boot@${DIGEST}`, /must not carry a tag or a digest/],
      ['without a host', 'team/boot', /must be host\[:port\]\/path/],
      ['without a path', 'registry.example:5000', /must be host\[:port\]\/path/],
      ['with a scheme', 'https://registry.example/boot', /must be host\[:port\]\/path/],
      ['in upper case', 'registry.example/Team/boot', /in lower case after the host/],
      ['with an empty part', 'registry.example//boot', /must be host\[:port\]\/path/],
      ['with a user', 'me@registry.example/boot', /must not carry a tag or a digest/],
    ] as const
  ).map(([title, repository, says]) => ({
    title: `a repository for boot images ${title}`,
    object: validImage({ bootImage: { repository } }),
    field: 'spec.bootImage.repository',
    says,
  })),
  {
    title: 'a boot image for nowhere',
    object: validImage({ bootImage: { pushSecretName: 'push' } }),
    field: 'spec.bootImage.repository',
    says: /Required value/,
  },
  {
    title: 'a push secret that cannot be one',
    object: validImage({ bootImage: { repository: 'registry.example/boot', pushSecretName: 'Push_Secret' } }),
    field: 'spec.bootImage.pushSecretName',
    says: /should match/,
  },
  {
    title: 'images to verify, and nothing to verify them with',
    object: validImage({}, { trust: { image: ['team/kernel'] } }),
    field: 'spec.verification',
    says: /config\.trust names images that must be verified, but there is no public key/,
  },
  {
    title: 'an organisation to verify, and nothing to verify it with',
    object: validImage({}, TRUST),
    field: 'spec.verification',
    says: /config\.trust names images that must be verified, but there is no public key/,
  },
  {
    title: 'keys that verify nothing',
    object: validImage({ verification: { publicKeys: [key] } }, { trust: { image: [] } }),
    field: 'spec.verification',
    says: /config\.trust names no image and no organisation/,
  },
  {
    title: 'a verification of nobody',
    object: verified({}),
    field: 'spec.verification',
    says: /publicKeys or identities must be given/,
  },
  {
    title: 'an empty list of keys',
    object: verified({ publicKeys: [] }),
    field: 'spec.verification.publicKeys',
    says: /should have at least 1 items/,
  },
  {
    title: 'a key that is none',
    object: verified({ publicKeys: [{ pem: '-----BEGIN CERTIFICATE-----' }] }),
    field: 'spec.verification.publicKeys[0].pem',
    says: /should match/,
  },
  {
    title: 'a private key that is to verify',
    object: verified({ publicKeys: [{ pem: '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----' }] }),
    field: 'spec.verification.publicKeys[0].pem',
    says: /should match/,
  },
  {
    title: 'a key from two places',
    object: verified({ publicKeys: [{ ...key, ...trustedRoot }] }),
    field: 'spec.verification.publicKeys[0]',
    says: /exactly one of pem and configMapKeyRef/,
  },
  {
    title: 'a key from nowhere',
    object: verified({ publicKeys: [{}] }),
    field: 'spec.verification.publicKeys[0]',
    says: /exactly one of pem and configMapKeyRef/,
  },
  {
    title: 'a key from a Secret',
    object: verified({ publicKeys: [{ secretKeyRef: { name: 'a', key: 'b' } }] }),
    field: 'spec.verification.publicKeys[0].secretKeyRef',
    says: /unknown field/,
    serverOnly: true,
  },
  {
    title: 'identities without a root by which they are proved',
    object: verified({ identities: [identity] }),
    field: 'spec.verification',
    says: /identities need trustedRoot/,
  },
  {
    title: 'an identity without an issuer',
    object: verified({ identities: [{ subject: 'a' }], trustedRoot }),
    field: 'spec.verification.identities[0]',
    says: /exactly one of issuer and issuerPattern/,
  },
  {
    title: 'an identity of any subject',
    object: verified({ identities: [{ issuer: 'a' }], trustedRoot }),
    field: 'spec.verification.identities[0]',
    says: /exactly one of subject and subjectPattern/,
  },
  {
    title: 'a subject both exact and by pattern',
    object: verified({ identities: [{ ...identity, subjectPattern: '.*' }], trustedRoot }),
    field: 'spec.verification.identities[0]',
    says: /exactly one of subject and subjectPattern/,
  },
  {
    title: 'an issuer of no characters, which would match none',
    object: verified({ identities: [{ ...identity, issuer: '' }], trustedRoot }),
    field: 'spec.verification.identities[0].issuer',
    says: /should be at least 1 chars long/,
  },
  {
    title: 'a trusted root from nowhere',
    object: verified({ identities: [identity], trustedRoot: {} }),
    field: 'spec.verification.trustedRoot.configMapKeyRef',
    says: /Required value/,
  },
  {
    title: 'a name with a dot, which no object key and no Job can follow',
    object: named(validImage(), 'web.v1'),
    field: 'metadata.name',
    says: /must be lower-case letters/,
    serverOnly: true,
  },
];

export const WRONG_MACHINES: readonly WrongObject[] = [
  {
    title: 'no image',
    object: without(validMachine(), 'imageRef'),
    field: 'spec.imageRef',
    says: /Required value/,
  },
  {
    title: 'a digest that is none',
    object: validMachine({ imageRef: { name: 'web', digest: 'sha256:abc' } }),
    field: 'spec.imageRef.digest',
    says: /should match/,
  },
  {
    title: 'neither memory nor instance type',
    object: without(validMachine(), 'memory'),
    field: 'spec',
    says: /exactly one of memory and instancetype/,
  },
  {
    title: 'both memory and instance type',
    object: validMachine({ instancetype: { name: 'small' } }),
    field: 'spec',
    says: /exactly one of memory and instancetype/,
  },
  {
    title: 'cpu beside an instance type',
    object: without(validMachine({ cpu: { cores: 2 }, instancetype: { name: 'small' } }), 'memory'),
    field: 'spec.cpu',
    says: /exclude each other/,
  },
  {
    title: 'memory in no unit that exists',
    object: validMachine({ memory: '512 MB' }),
    field: 'spec.memory',
    says: /should match/,
  },
  {
    title: 'memory in millibytes',
    object: validMachine({ memory: '512m' }),
    field: 'spec.memory',
    says: /must lie between 32Mi and 16Ti/,
  },
  {
    title: 'a few bytes of memory, the unit forgotten',
    object: validMachine({ memory: 512 }),
    field: 'spec.memory',
    says: /must lie between 32Mi and 16Ti/,
  },
  {
    title: 'negative replicas',
    object: validMachine({ replicas: -1 }),
    field: 'spec.replicas',
    says: /greater than or equal to 0/,
  },
  {
    title: 'too many replicas',
    object: validMachine({ replicas: 1001 }),
    field: 'spec.replicas',
    says: /less than or equal to 1000/,
  },
  {
    title: 'a run strategy that does not follow images',
    object: validMachine({ runStrategy: 'Once' }),
    field: 'spec.runStrategy',
    says: /Unsupported value/,
  },
  {
    title: 'kernel arguments longer than the kernel reads',
    object: validMachine({ kernelArgs: 'a'.repeat(2048) }),
    field: 'spec.kernelArgs',
    says: /may not be more than 2047/,
  },
  {
    title: 'a newline in kernel arguments',
    object: validMachine({ kernelArgs: 'quiet\ninit=/bin/sh' }),
    field: 'spec.kernelArgs',
    says: /should match/,
  },
  {
    title: 'a port out of range',
    object: validMachine({ network: { ports: [{ port: 70_000 }] } }),
    field: 'spec.network.ports[0].port',
    says: /less than or equal to 65535/,
  },
  {
    title: 'ports without the pod network',
    object: validMachine({ network: { pod: false, ports: [{ port: 80 }] } }),
    field: 'spec.network.ports',
    says: /ports need the pod network/,
  },
  {
    title: 'a further network under the name of the first',
    object: validMachine({
      network: { additional: [{ name: 'default', networkAttachmentDefinition: 'a' }] },
    }),
    field: 'spec.network.additional',
    says: /that of the pod network/,
  },
  {
    title: 'a disk of two kinds',
    object: validMachine(disk({ persistentVolumeClaim: { claimName: 'a' }, emptyDisk: { capacity: '1Gi' } })),
    field: 'spec.disks[0]',
    says: /exactly one of persistentVolumeClaim, volumeClaimTemplate and emptyDisk/,
  },
  {
    title: 'a disk under a name of ours',
    object: validMachine({ disks: [{ name: 'linuxkit-metadata', emptyDisk: { capacity: '1Gi' } }] }),
    field: 'spec.disks[0].name',
    says: /kept for our own disks/,
  },
  {
    title: 'an empty disk of no size',
    object: validMachine(disk({ emptyDisk: { capacity: 'big' } })),
    field: 'spec.disks[0].emptyDisk.capacity',
    says: /should match/,
  },
  {
    title: 'two disks of one name',
    object: validMachine({
      disks: [
        { name: 'data', emptyDisk: { capacity: '1Gi' } },
        { name: 'data', emptyDisk: { capacity: '2Gi' } },
      ],
    }),
    field: 'spec.disks[1]',
    says: /Duplicate value/,
    serverOnly: true,
  },
  {
    title: 'metadata that is empty',
    object: validMachine({ metadata: {} }),
    field: 'spec.metadata',
    says: /either secretRef, or at least one of/,
  },
  {
    title: 'metadata inline and from a Secret',
    object: validMachine({ metadata: { hostname: 'a', secretRef: { name: 'b' } } }),
    field: 'spec.metadata',
    says: /either secretRef, or at least one of/,
  },
  {
    title: 'a metadata file that leads out of its folder',
    object: validMachine({ metadata: { files: [{ path: '../../etc/passwd', content: '' }] } }),
    field: 'spec.metadata.files[0].path',
    says: /must not contain the segments/,
  },
  {
    title: 'a key of two lines',
    object: validMachine({ metadata: { sshAuthorizedKeys: ['ssh-ed25519 AAAA\ncommand="x"'] } }),
    field: 'spec.metadata.sshAuthorizedKeys[0]',
    says: /should match/,
  },
  {
    title: 'a probe of two kinds',
    object: validMachine({ readinessProbe: { tcpSocket: { port: 80 }, httpGet: { port: 80 } } }),
    field: 'spec.readinessProbe',
    says: /exactly one of tcpSocket and httpGet/,
  },
  {
    title: 'a probe that needs a guest agent',
    object: validMachine({ readinessProbe: { guestAgentPing: {} } }),
    field: 'spec.readinessProbe.guestAgentPing',
    says: /unknown field/,
    serverOnly: true,
  },
  {
    title: 'a liveness probe that must succeed twice',
    object: validMachine({ livenessProbe: { tcpSocket: { port: 80 }, successThreshold: 2 } }),
    field: 'spec.livenessProbe.successThreshold',
    says: /must be 1 for a liveness probe/,
  },
  {
    title: 'a probe without the pod network',
    object: validMachine({ network: { pod: false }, readinessProbe: { tcpSocket: { port: 80 } } }),
    field: 'spec',
    says: /probes need the pod network/,
  },
  {
    title: 'none may be unavailable',
    object: validMachine({ update: { maxUnavailable: 0 } }),
    field: 'spec.update.maxUnavailable',
    says: /must be a number of machines/,
  },
  {
    title: 'more than all may be unavailable',
    object: validMachine({ update: { maxUnavailable: '150%' } }),
    field: 'spec.update.maxUnavailable',
    says: /must be a number of machines/,
  },
  {
    title: 'an update strategy of another kind of object',
    object: validMachine({ update: { strategy: 'OnDelete' } }),
    field: 'spec.update.strategy',
    says: /Unsupported value/,
  },
  {
    title: 'no time to come up in',
    object: validMachine({ update: { progressDeadlineSeconds: 0 } }),
    field: 'spec.update.progressDeadlineSeconds',
    says: /greater than or equal to 1/,
  },
  {
    title: 'a maintenance window with a schedule of six fields',
    object: validMachine({ update: { maintenanceWindow: { schedule: '0 0 2 * * 6', duration: '2h' } } }),
    field: 'spec.update.maintenanceWindow.schedule',
    says: /should match/,
  },
  {
    title: 'a maintenance window longer than a week',
    object: validMachine({ update: { maintenanceWindow: { schedule: '@weekly', duration: '200h' } } }),
    field: 'spec.update.maintenanceWindow.duration',
    says: /must lie between 1m and 168h/,
  },
  {
    title: 'a claim template without a size',
    object: validMachine(disk({ volumeClaimTemplate: { resources: { requests: {} } } })),
    field: 'spec.disks[0].volumeClaimTemplate.resources.requests.storage',
    says: /Required value/,
  },
  {
    title: 'claims that are to be recycled',
    object: validMachine({ persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Recycle' } }),
    field: 'spec.persistentVolumeClaimRetentionPolicy.whenDeleted',
    says: /Unsupported value/,
  },
  {
    title: 'an unknown field of the spec',
    object: validMachine({ kernelargs: 'quiet' }),
    field: 'spec.kernelargs',
    says: /unknown field/,
    serverOnly: true,
  },
  {
    title: 'a name that leaves no room for an ordinal',
    object: named(validMachine(), 'a'.repeat(59)),
    field: 'metadata.name',
    says: /must be lower-case letters/,
    serverOnly: true,
  },
];

/** Objects that must be taken, with everything that can be said in them said. */
export const RIGHT_OBJECTS: readonly { readonly title: string; readonly object: Json }[] = [
  ...['localhost/boot', '10.0.0.1:5000/a', '[fd00::1]:5000/a/b', 'Registry.example/a.b', 'r:1/x'].map(
    (repository) => ({
      title: `boot images in ${repository}`,
      object: validImage({ bootImage: { repository } }),
    }),
  ),
  { title: 'a small image', object: validImage() },
  { title: 'an image from a ConfigMap', object: without(validImage({ configFrom: configMapKey }), 'config') },
  { title: 'an image from a Secret', object: without(validImage({ configFrom: secretKey }), 'config') },
  {
    title: 'a large image',
    object: validImage(
      {
        architecture: 'arm64',
        compression: 'zstd',
        files: [file('/etc/a', { mode: '0644' }), { path: 'etc/b', mode: '600', contentsFrom: secretKey }],
        imagePullSecrets: [{ name: 'registry' }],
        bootImage: {
          repository: 'registry.example:5000/team/boot_images/web--a',
          pushSecretName: 'push',
          pullSecretName: 'pull',
        },
        build: {
          resources: {
            requests: { cpu: 1, memory: '256Mi' },
            limits: { cpu: '500m', 'ephemeral-storage': '10Gi' },
          },
          nodeSelector: { 'kubernetes.io/arch': 'amd64' },
          tolerations: [{ key: 'builds', operator: 'Exists', effect: 'NoSchedule' }],
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [
                  { matchExpressions: [{ key: 'zone', operator: 'In', values: ['a', 'b'] }] },
                ],
              },
            },
            podAntiAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                {
                  weight: 100,
                  podAffinityTerm: {
                    topologyKey: 'kubernetes.io/hostname',
                    labelSelector: { matchLabels: { app: 'database' } },
                  },
                },
              ],
            },
          },
          priorityClassName: 'builds',
          timeout: '1h30m',
          retries: 0,
        },
        refresh: { interval: '12h' },
        historyLimit: 0,
        deletionPolicy: 'Retain',
        suspend: true,
      },
      {
        init: ['registry.example/init:1', 'registry.example/runc@sha256:'.concat('b'.repeat(64))],
        onboot: [service('sysctl'), service('sysctl')],
        services: [
          { ...service('web'), capabilities: ['all'], 'binds.add': ['/run:/run'], uid: 'web', gid: 100 },
        ],
        onshutdown: [service('bye')],
        volumes: [{ name: 'data' }],
        files: [{ path: 'etc/motd', contents: 'hello', mode: '0644' }],
      },
    ),
  },
  {
    title: 'an image whose inputs are verified by keys',
    object: verified({ publicKeys: [key, { configMapKeyRef: { name: 'keys', key: 'cosign.pub' } }] }),
  },
  {
    title: 'an image whose inputs are verified by identities',
    object: verified({
      identities: [identity, { issuerPattern: 'https://.*', subjectPattern: '.*@team[.]example' }],
      trustedRoot,
    }),
  },
  {
    title: 'keys for what a ConfigMap may name, which only the build knows',
    object: without(validImage({ configFrom: configMapKey, verification: { publicKeys: [key] } }), 'config'),
  },
  { title: 'trust that names nothing', object: validImage({}, { trust: { image: [], org: [] } }) },
  { title: 'a small machine', object: validMachine() },
  {
    title: 'a machine of an instance type',
    object: without(
      validMachine({ instancetype: { name: 'small' }, preference: { name: 'linux' } }),
      'memory',
    ),
  },
  {
    title: 'a large machine',
    object: validMachine({
      imageRef: { name: 'web', digest: DIGEST },
      replicas: 5,
      runStrategy: 'RerunOnFailure',
      cpu: { cores: 2, model: 'host-model' },
      memory: 1_073_741_824,
      kernelArgs: 'quiet panic=10',
      network: {
        ports: [
          { name: 'http', port: 80 },
          { port: 80, protocol: 'UDP' },
        ],
        additional: [{ name: 'storage', networkAttachmentDefinition: 'networks/storage' }],
      },
      disks: [
        { name: 'data', persistentVolumeClaim: { claimName: 'data', readOnly: true }, serial: 'DATA' },
        { name: 'scratch', emptyDisk: { capacity: '10Gi' }, bus: 'scsi' },
      ],
      metadata: {
        hostname: 'web',
        sshAuthorizedKeys: ['ssh-ed25519 AAAA me@example'],
        files: [{ path: 'app/settings', content: 'a=1\n', perm: '0600' }],
      },
      readinessProbe: { httpGet: { path: '/healthz', port: 80 }, periodSeconds: 5 },
      livenessProbe: { tcpSocket: { port: 22 } },
      terminationGracePeriodSeconds: 0,
      evictionStrategy: 'None',
      logSerialConsole: false,
      scheduling: {
        nodeSelector: { disk: 'ssd' },
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'zone',
            whenUnsatisfiable: 'ScheduleAnyway',
            labelSelector: { matchLabels: { a: 'b' } },
          },
        ],
        priorityClassName: 'vms',
      },
      update: { maxUnavailable: '20%', minReadySeconds: 30 },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { domain: { devices: { rng: {} } }, hostname: 'x' },
      },
    }),
  },
];
