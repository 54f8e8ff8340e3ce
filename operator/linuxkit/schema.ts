import * as z from 'zod';
import {
  identity,
  imagePath,
  list,
  namedList,
  octalMode,
  patterned,
  text,
  withRules,
} from './field-types.ts';
import { imageReference, type labelSchema, serviceSchema, taskSchema } from './image-schema.ts';

/**
 * The LinuxKit configuration, field by field, under LinuxKit's own names. It is the source of
 * the CRD's `spec.config` as well as of the validation of YAML text.
 *
 * For the CRD: `z.toJSONSchema(inlineConfigSchema, { target: 'openapi-3.0', io: 'input',
 * reused: 'inline' })`. All `x-kubernetes-*` keys and `maxProperties` are metadata and pass
 * through; where `x-kubernetes-int-or-string` is set, what zod writes beside it (`anyOf`) must
 * go, and so must `propertyNames` of maps.
 *
 * Unknown fields are not refused here, since a structural schema cannot say so: the API server
 * does it (field validation "Strict"), and `parse.ts` for text.
 */

/** A file at the root of the kernel image. */
function kernelFile(description: string) {
  return patterned(
    255,
    '^[^/\\x00]*$',
    "must be the name of a file at the root of the kernel image, without '/'",
  )
    .describe(description)
    .optional();
}

const kernelSchema = z.object({
  image: imageReference.describe('The OCI image that holds the kernel and its modules.').optional(),
  cmdline: text(2048).describe('Kernel command line, verbatim.').optional(),
  binary: kernelFile("Name of the kernel at the root of the image; 'kernel' by default."),
  tar: kernelFile(
    "Name of the archive with modules at the root of the image; 'kernel.tar' by default, 'none' where there is none.",
  ),
  ucode: kernelFile(
    'Name of a cpio archive with processor microcode at the root of the image. None by default.',
  ),
});

const volumeSchema = withRules(
  z.object({
    name: patterned(64, '^[a-z0-9_-]+$', "must be made of lower-case letters, digits, '_' and '-'").describe(
      'Name of the volume, by which `binds` and `mounts` refer to it.',
    ),
    image: imageReference.describe('An OCI image with the initial content. Empty by default.').optional(),
    readonly: z.boolean().describe('Only let containers mount the volume read-only.').optional(),
    format: z
      .enum(['filesystem', 'oci'], 'must be filesystem or oci')
      .describe(
        "Whether the volume holds the files of the image ('filesystem', the default) or the image itself as an OCI layout ('oci').",
      )
      .optional(),
    platforms: list(
      patterned(
        64,
        '^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$',
        'must be os/architecture or os/architecture/variant',
      ),
      32,
    )
      .describe("With format 'oci', the platforms to include, such as linux/amd64. All by default.")
      .optional(),
  }),
  {
    rule: "!has(self.format) || self.format != 'oci' || has(self.image)",
    message: 'a volume of format oci needs an image',
    holds: (volume) => volume.format !== 'oci' || volume.image !== undefined,
  },
);

const fileFields = z.object({
  path: imagePath.describe("Path in the image. A leading '/' makes no difference."),
  directory: z.boolean().describe('Make a directory.').optional(),
  symlink: text(4095).describe('Make a symbolic link with this target.').optional(),
  contents: text(1_048_576).describe('Make a file with this text.').optional(),
  source: text(4096)
    .describe(
      'Make a file from one of the machine that builds. Only from the command line: the operator refuses it.',
    )
    .optional(),
  metadata: z
    .enum(['yaml', 'json'], 'must be yaml or json')
    .describe('Make a file that holds this configuration itself, in the given format.')
    .optional(),
  optional: z
    .boolean()
    .describe('With `source`, leave the file out where the source does not exist.')
    .optional(),
  mode: octalMode
    .describe("Permissions, octal, such as '0644'. By default '0600', and '0700' for a directory.")
    .optional(),
  uid: identity
    .describe('Owner: a number, or the name of a container, which stands for the number given to it.')
    .optional(),
  gid: identity.describe('Group, in the same forms.').optional(),
});

/** How many ways of making a file an entry names. */
function kindsOf(file: z.output<typeof fileFields>): number {
  const kinds = [
    file.directory === true,
    file.symlink !== undefined && file.symlink !== '',
    file.contents !== undefined,
    file.source !== undefined && file.source !== '',
    file.metadata !== undefined,
  ];
  return kinds.filter(Boolean).length;
}

const fileSchema = withRules(fileFields, {
  rule:
    "[has(self.directory) && self.directory, has(self.symlink) && self.symlink != '', has(self.contents), " +
    "has(self.source) && self.source != '', has(self.metadata)].filter(x, x).size() == 1",
  message: 'exactly one of directory: true, symlink, contents, source and metadata must be given',
  holds: (file) => kindsOf(file) === 1,
});

const inlineFileSchema = withRules(fileSchema, {
  rule: '!has(self.source)',
  message:
    'source reads the machine that builds and is only for the command line; use contents, or files of the LinuxKitImage',
  holds: (file) => file.source === undefined,
});

/** Formats that can be made: on the command line, or by `outputs` of a configuration of 2017. */
export const OUTPUT_FORMATS = ['kernel+initrd', 'tar'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** Those that machines boot from: an archive is of no use to the operator. */
export const BOOTABLE_FORMATS = ['kernel+initrd'] as const satisfies readonly OutputFormat[];

function outputSchema<F extends readonly [OutputFormat, ...OutputFormat[]]>(formats: F) {
  return z.object({
    format: z
      .enum(formats, { error: (issue) => unknownFormat(String(issue.input), formats) })
      .describe('The format.'),
  });
}

/** Why a format cannot be asked for where these can. */
export function unknownFormat(format: string, formats: readonly OutputFormat[]): string {
  const known = OUTPUT_FORMATS.some((name) => name === format);
  const where = known ? 'made on the command line alone' : 'not made here';
  return `output format ${format} is ${where}; those that are made: ${formats.join(', ')}`;
}

const trustSchema = z.object({
  image: list(imageReference, 256)
    .describe('Images that must be verified before use: exact references, or names without tag and digest.')
    .optional(),
  org: list(text(512).min(1), 256)
    .describe("Organisations whose images must all be verified before use, such as 'linuxkit'.")
    .optional(),
});

function configFields<F extends typeof fileSchema, O extends readonly [OutputFormat, ...OutputFormat[]]>(
  file: F,
  formats: O,
) {
  return z.object({
    kernel: kernelSchema.describe('The kernel that the machine boots.').optional(),
    init: list(imageReference, 64)
      .describe(
        'Images whose files make up the root file system, in order; later ones replace files of earlier ones.',
      )
      .optional(),
    onboot: list(taskSchema, 256)
      .describe('Containers that run one after another at boot, each to its end, before the services.')
      .optional(),
    onshutdown: list(taskSchema, 256)
      .describe('Containers that run one after another at shutdown.')
      .optional(),
    services: namedList(serviceSchema, 256)
      .describe('Containers that run as long as the machine.')
      .optional(),
    volumes: namedList(volumeSchema, 64)
      .describe('Directories that containers can share by name.')
      .optional(),
    files: list(file, 1024)
      .describe('Files, directories and links to add to the root file system.')
      .optional(),
    trust: trustSchema.describe('Images that must carry a valid signature.').optional(),
    outputs: list(outputSchema(formats), 16)
      .describe(
        'Of configurations of 2017: the formats to make. The operator always makes a kernel and an initrd.',
      )
      .optional(),
  });
}

/** A configuration as LinuxKit's own tool takes it. */
export const configSchema = configFields(fileSchema, OUTPUT_FORMATS);

/** `spec.config`: a configuration that the operator builds. Must have a kernel and may not read the machine that builds. */
export const inlineConfigSchema = withRules(configFields(inlineFileSchema, BOOTABLE_FORMATS), {
  rule: 'has(self.kernel) && has(self.kernel.image)',
  message: 'kernel.image is required: without a kernel there is nothing to boot',
  holds: (config) => config.kernel?.image !== undefined,
});

type DeepReadonly<T> = T extends readonly (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

export type LinuxKitConfig = DeepReadonly<z.output<typeof configSchema>>;
export type KernelSpec = DeepReadonly<z.output<typeof kernelSchema>>;
export type VolumeSpec = DeepReadonly<z.output<typeof volumeSchema>>;
export type FileSpec = DeepReadonly<z.output<typeof fileSchema>>;
/** An entry of `onboot`, `onshutdown` or `services`. */
export type ImageSpec = DeepReadonly<z.output<typeof taskSchema>>;
/** What an image says of itself in its label. */
export type ImageLabel = DeepReadonly<z.output<typeof labelSchema>>;
export type MountSpec = NonNullable<ImageSpec['mounts']>[number];
export type DeviceSpec = NonNullable<ImageSpec['devices']>[number];
export type ResourcesSpec = NonNullable<ImageSpec['resources']>;
export type RuntimeSpec = NonNullable<ImageSpec['runtime']>;
/** A user or group as written: a number, or the name of a container. */
export type Identity = NonNullable<ImageSpec['uid']>;
