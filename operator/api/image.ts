import * as z from 'zod';
import { inlineConfigSchema, type LinuxKitConfig } from '../linuxkit/schema.ts';
import { asksForTrust } from '../linuxkit/trust.ts';
import { conditions } from './conditions.ts';
import { digest, sha256Hex } from './digest.ts';
import { durationBetween } from './duration.ts';
import { keySource } from './key-reference.ts';
import { API_VERSION, IMAGE_KIND } from './names.ts';
import { type Immutable, objectMeta, objectName, parseObject, timestamp } from './object.ts';
import { quantity } from './quantity.ts';
import { ATOMIC_LIST, exactlyOne, exactlyOneCel, listMap, withRules } from './rules.ts';
import { affinity, localReferences, nodeSelector, priorityClassName, tolerations } from './scheduling.ts';
import { verification } from './verification.ts';

/** The architectures that an image can be built for, in Go's names. */
export const architecture = z.enum(['amd64', 'arm64']);

/** A path inside the image that cannot lead out of it. */
export const imagePath = withRules(
  z
    .string()
    .min(1)
    .max(1024)
    .regex(/^\/?[^/]+(\/[^/]+)*$/),
  [
    {
      cel: "!self.matches('(^|/)[.][.]?(/|$)')",
      message: 'must not contain the segments "." or ".."',
      holds: (path) => !/(^|\/)\.\.?(\/|$)/.test(path),
    },
  ],
);

export const fileMode = z
  .string()
  .max(5)
  .regex(/^0?[0-7]{3,4}$/);

const imageFile = z.object({
  path: imagePath.describe('Where the file lies in the image. A leading slash makes no difference.'),
  mode: fileMode.optional().describe('Permissions in octal, quoted. 0600 if left out, as LinuxKit has it.'),
  contentsFrom: keySource.describe('What the file holds.'),
});

const resources = z.object({
  requests: z
    .record(z.string().min(1).max(253), quantity)
    .optional()
    .describe('What the build pod is guaranteed, by resource name: cpu, memory, ephemeral-storage.')
    .meta({ maxProperties: 16 }),
  limits: z
    .record(z.string().min(1).max(253), quantity)
    .optional()
    .describe('What the build pod may use at most, by resource name.')
    .meta({ maxProperties: 16 }),
});

const buildSpec = z.object({
  resources: resources
    .optional()
    .describe("The build pod's resources. What is left out comes from the operator's configuration."),
  nodeSelector: nodeSelector.optional(),
  tolerations: tolerations.optional(),
  affinity: affinity.optional(),
  priorityClassName: priorityClassName.optional(),
  timeout: durationBetween('10s', '24h')
    .default('30m')
    .describe('How long one try may take, in Go notation such as 20m. After that the build has failed.'),
  retries: z
    .int32()
    .min(0)
    .max(10)
    .default(2)
    .describe(
      'How often a build is tried again when its pod was lost, evicted, or failed for a reason that may pass.',
    ),
});

const HOST_LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const HOST_NAME = `${HOST_LABEL}(?:[.]${HOST_LABEL})*`;
const PORT = ':[0-9]{1,5}';
/** Without a dot or a port the first part would be taken for a name on Docker Hub. */
const REGISTRY_HOST = `localhost|${HOST_LABEL}(?:[.]${HOST_LABEL})+|${HOST_NAME}${PORT}|\\[[0-9a-fA-F:]+\\](?:${PORT})?`;
/** OCI distribution-spec, "Pulling manifests". */
const REPOSITORY_PART = '[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^(?:${REGISTRY_HOST})(?:/${REPOSITORY_PART})+$`);
const TAG_OR_DIGEST = /@|\/[^/]*:/;
const TAG_OR_DIGEST_CEL = "(self.contains('@') || self.matches('/[^/]*:'))";

/** A repository with its registry, `host[:port]/path`. */
const repository = withRules(z.string().min(3).max(255), [
  {
    cel: `!${TAG_OR_DIGEST_CEL}`,
    message: 'must not carry a tag or a digest: images are pushed under their digest',
    holds: (text) => !TAG_OR_DIGEST.test(text),
  },
  {
    cel: `${TAG_OR_DIGEST_CEL} || self.matches(r'${REPOSITORY.source.replaceAll('\\/', '/')}')`,
    message:
      'must be host[:port]/path, in lower case after the host, which has a dot or a port: registry.example/team/boot',
    holds: (text) => TAG_OR_DIGEST.test(text) || REPOSITORY.test(text),
  },
]);

const bootImageSpec = z.object({
  repository: repository.describe(
    'Where the boot image is pushed, host[:port]/path without tag and digest. What machines boot from there is not removed by the operator, and must not be by the registry.',
  ),
  pushSecretName: objectName
    .optional()
    .describe(
      'A Secret of type kubernetes.io/dockerconfigjson, in the namespace of the image, that may push there. The build pod mounts it; the operator never reads it.',
    ),
  pullSecretName: objectName
    .optional()
    .describe(
      'A Secret of the same type with which nodes pull the boot image: KubeVirt is given its name for each virtual machine.',
    ),
});

const refreshSpec = z.object({
  interval: durationBetween('1m', '8760h').describe(
    'How often tags, Secrets and ConfigMaps are looked at again, in Go notation such as 12h. An unchanged result gives no new artifact.',
  ),
});

/** Whether the configuration in the spec, as opposed to one in a ConfigMap or Secret, wants images verified. */
const NAMES_TRUSTED_CEL =
  'has(self.config) && has(self.config.trust) && ' +
  '((has(self.config.trust.image) && size(self.config.trust.image) > 0) || ' +
  '(has(self.config.trust.org) && size(self.config.trust.org) > 0))';

function namesTrusted({
  config,
}: {
  readonly config?: { readonly trust?: LinuxKitConfig['trust'] } | undefined;
}): boolean {
  return asksForTrust(config?.trust);
}

export const imageSpec = withRules(
  z.object({
    config: inlineConfigSchema
      .optional()
      .describe(
        "The LinuxKit configuration, by LinuxKit's own field names. Exactly one of config and configFrom must be given.",
      ),
    configFrom: keySource
      .optional()
      .describe(
        'A ConfigMap or Secret key that holds LinuxKit YAML as text. Exactly one of config and configFrom must be given.',
      ),
    architecture: architecture.default('amd64').describe('What the image is built for.'),
    compression: z
      .enum(['auto', 'gzip', 'zstd'])
      .default('auto')
      .describe(
        'How the initrd is compressed. auto takes zstd where the kernel can unpack it (5.9 or newer), gzip otherwise.',
      ),
    files: z
      .array(imageFile)
      .max(128)
      .optional()
      .describe(
        'Files taken from ConfigMap and Secret keys. They are written last and replace files of the same path.',
      )
      .meta(listMap('path')),
    imagePullSecrets: localReferences
      .optional()
      .describe(
        'Secrets of type kubernetes.io/dockerconfigjson with which the build pod pulls the images that the configuration names.',
      )
      .meta(listMap('name')),
    verification: verification
      .optional()
      .describe(
        'Whose signatures count for the images that trust of the configuration names. Nothing of them is used before a signature was found.',
      ),
    bootImage: bootImageSpec
      .optional()
      .describe(
        'A registry that virtual machines boot from, for nodes whose container runtime does not pull from the boot registry on 127.0.0.1. Left out: they boot from the boot registry.',
      ),
    build: buildSpec
      .optional()
      .describe('How and where the build Job runs. Nothing here changes what is built.'),
    refresh: refreshSpec
      .optional()
      .describe(
        'Builds again when a tag has moved or a mounted Secret has changed. Left out: only a changed spec or a request does.',
      ),
    historyLimit: z
      .int32()
      .min(0)
      .max(50)
      .default(3)
      .describe('How many artifacts before the present one are kept.'),
    deletionPolicy: z
      .enum(['Delete', 'Retain'])
      .default('Delete')
      .describe('What becomes of the stored artifacts when the LinuxKitImage is deleted.'),
    suspend: z
      .boolean()
      .default(false)
      .describe('Starts no further build while true. What is built stays in use.'),
  }),
  [
    {
      cel: exactlyOneCel('config', 'configFrom'),
      message: 'exactly one of config and configFrom must be given',
      holds: exactlyOne('config', 'configFrom'),
    },
    {
      cel: `!(${NAMES_TRUSTED_CEL}) || has(self.verification)`,
      field: 'verification',
      message:
        'config.trust names images that must be verified, but there is no public key and no identity to verify them with',
      holds: (spec) => !namesTrusted(spec) || spec.verification !== undefined,
    },
    {
      cel: `!has(self.config) || !has(self.verification) || ${NAMES_TRUSTED_CEL}`,
      field: 'verification',
      message:
        'config.trust names no image and no organisation, so that nothing would be verified; name them in trust.image or trust.org',
      holds: (spec) => spec.config === undefined || spec.verification === undefined || namesTrusted(spec),
    },
  ],
);

const storedFile = z.object({
  key: z.string().max(1024).describe("Where it lies in the bucket, below the operator's prefix."),
  size: z.int().min(0).describe('Bytes as stored.'),
  sha256: sha256Hex.describe('SHA-256 of the stored bytes, hexadecimal.'),
});

/** Why an artifact was built. Also the reasons of the `Building` event. */
export const BUILD_REASONS = [
  'Created',
  'SpecChanged',
  'ConfigChanged',
  'Requested',
  'Refresh',
  'EngineChanged',
] as const;

const buildReason = z.enum(BUILD_REASONS);

const inputImage = z.object({
  location: z.string().max(64).describe('Where the configuration names it: kernel, init[0], services[2].'),
  reference: z.string().max(512).describe('As the configuration names it.'),
  digest: digest.describe("Digest of the platform's manifest that was used."),
  verifiedBy: z
    .string()
    .max(512)
    .optional()
    .describe(
      'Whose signature it carries, where trust asked for one: a key by its fingerprint, or an identity.',
    ),
});

export const artifact = z.object({
  digest: digest.describe('Identity of the artifact: a digest over its uncompressed content.'),
  bootImage: z
    .object({
      reference: z
        .string()
        .max(512)
        .describe(
          'NAMESPACE/IMAGE@DIGEST, without the host of a boot registry; REPOSITORY@DIGEST of an image that was pushed.',
        ),
      digest: digest.describe('Digest of the manifest: the part of the reference after the @.'),
      repository: z
        .string()
        .max(255)
        .optional()
        .describe(
          'The repository of spec.bootImage that it was pushed to. Left out: boot registries serve it.',
        ),
      pullSecretName: objectName.optional().describe('The Secret with which nodes pull it.'),
    })
    .describe('The OCI image that a virtual machine boots from.'),
  architecture: architecture.describe('What it was built for.'),
  compression: z.enum(['gzip', 'zstd']).describe('How the initrd is compressed.'),
  kernel: storedFile.describe('The kernel.'),
  initrd: storedFile
    .extend({
      uncompressedSize: z
        .int()
        .min(0)
        .optional()
        .describe('Bytes when unpacked: what it takes of the memory of a machine.'),
    })
    .describe('The initial RAM disk.'),
  cmdline: storedFile
    .extend({ text: z.string().max(4096).describe('The kernel command line itself.') })
    .describe('The kernel command line.'),
  sbom: storedFile
    .optional()
    .describe('What is in it, as SPDX JSON. Left out: it was built by a version that wrote none.'),
  provenance: storedFile
    .optional()
    .describe(
      'How it was built, as an in-toto statement. Left out: it was built by a version that wrote none.',
    ),
  record: storedFile
    .optional()
    .describe(
      'build.json, which the operator has checked against what is stored. Left out: by a version that did not tell.',
    ),
  inputs: z.array(inputImage).max(512).describe('The images it was made of, resolved.').meta(ATOMIC_LIST),
  created: timestamp.describe('When it was built.'),
  reason: buildReason.describe('Why it was built.'),
  buildHash: z
    .string()
    .max(64)
    .optional()
    .describe('Hash of what determined it; the name of the build Job ends with its beginning.'),
});

const runningBuild = z.object({
  job: objectName.describe('The Job.'),
  hash: z.string().max(64).describe('Hash of what determines the output.'),
  reason: buildReason.describe('Why it was started.'),
  startTime: timestamp.describe('When the Job was made.'),
  phase: z
    .enum(['Queued', 'Pending', 'Running'])
    .optional()
    .describe('Queued: no pod yet. Pending: the pod does not run yet.'),
});

const lastFailure = z.object({
  step: z
    .enum(['schedule', 'configure', 'resolve', 'verify', 'pull', 'assemble', 'upload'])
    .optional()
    .describe('The step that failed; schedule when the pod never ran.'),
  reason: z.string().max(128).describe('Why, in one word; see the list of reasons.'),
  message: z.string().max(4096).describe('Why, for people.'),
  pod: z.string().max(253).optional().describe('The pod of the last try.'),
  exitCode: z.int32().optional().describe('Exit code of its container.'),
  logTail: z.string().max(8192).optional().describe('The last lines of its log.'),
  time: timestamp.describe('When it failed.'),
  buildHash: z.string().max(64).describe('Hash of the build that failed.'),
});

export const imageStatus = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('The generation that this status was computed from.'),
  conditions: conditions.optional(),
  artifact: artifact.optional().describe('The present artifact: what machines boot.'),
  build: runningBuild.optional().describe('The build that is under way.'),
  history: z
    .array(artifact)
    .max(50)
    .optional()
    .describe('Artifacts before the present one, newest first, as many as historyLimit keeps.')
    .meta(ATOMIC_LIST),
  lastFailure: lastFailure.optional().describe('The last build that failed. Gone once a build succeeds.'),
  lastHandledRebuild: z
    .string()
    .max(256)
    .optional()
    .describe('The value of the annotation linuxkit.dev/rebuild-requested-at that was last acted upon.'),
  lastRefresh: timestamp
    .optional()
    .describe('When what the configuration names was last looked at again, by spec.refresh.interval.'),
});

export const linuxkitImage = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(IMAGE_KIND),
  metadata: objectMeta,
  spec: imageSpec,
  status: imageStatus.optional(),
});

export type LinuxKitImage = Immutable<z.infer<typeof linuxkitImage>>;
export type ImageSpec = LinuxKitImage['spec'];
export type ImageStatus = Immutable<z.infer<typeof imageStatus>>;
export type Artifact = Immutable<z.infer<typeof artifact>>;
export type RunningBuild = Immutable<z.infer<typeof runningBuild>>;
export type BuildReason = (typeof BUILD_REASONS)[number];
export type LastFailure = Immutable<z.infer<typeof lastFailure>>;

/**
 * Reads a LinuxKitImage as the API server gives it. Fields of a later version are left aside;
 * defaults are filled in. Throws an ObjectError that names every offending field.
 */
export function parseImage(value: unknown): LinuxKitImage {
  return parseObject(IMAGE_KIND, linuxkitImage, value);
}
