import * as z from 'zod';
import { CAPABILITY_SPELLINGS } from './capabilities.ts';
import { filledText, identity, integer, list, octalMode, patterned, text, textMap } from './field-types.ts';
import { resourcesSchema } from './resource-schema.ts';

/** A container of a LinuxKit configuration: an entry of `onboot`, `onshutdown` or `services`. */

const MAX_PATH = 4096;
/** The kernel's limit of one argument of a process, in bytes (MAX_ARG_STRLEN). */
const MAX_ARGUMENT = 131_072;

/** An image reference, loosely: the parts are checked where it is resolved. */
export const imageReference = patterned(
  1024,
  '^[A-Za-z0-9[][A-Za-z0-9._:/@[\\]-]*$',
  'must be an image reference, such as docker.io/library/alpine:3.22',
);

const capability = z.enum(CAPABILITY_SPELLINGS, {
  error: (issue) => `unknown capability ${String(issue.input)}`,
});

const idMapping = z.object({
  hostID: integer(0, 4_294_967_295).describe('First id outside of the container.').optional(),
  containerID: integer(0, 4_294_967_295).describe('First id inside of the container.').optional(),
  size: integer(0, 4_294_967_295).describe('Number of ids in the range.').optional(),
});

function idMappings(whose: string) {
  return list(idMapping, 340)
    .describe(`Ranges of ${whose} inside and outside of the user namespace.`)
    .optional();
}

const mountSchema = z.object({
  destination: text(MAX_PATH).describe('Where to mount, inside of the container.').optional(),
  type: text(64).describe("Type of the file system, such as 'bind', 'tmpfs' or 'proc'.").optional(),
  source: text(MAX_PATH).describe('What to mount: a path, a device, or the name of a volume.').optional(),
  options: list(text(1024), 64).describe('Mount options, as in fstab(5).').optional(),
  uidmappings: idMappings('user ids').describe('Ranges of user ids for an id-mapped mount.'),
  gidmappings: idMappings('group ids').describe('Ranges of group ids for an id-mapped mount.'),
});

const deviceSchema = z.object({
  path: filledText(MAX_PATH).describe(
    "Path of the device node in the container, or 'all' for access to every device.",
  ),
  type: patterned(1, '^[abcup]?$', 'must be a, b, c, u or p')
    .describe('Kind of device: b (block), c or u (character), p (pipe), a (all).')
    .optional(),
  major: integer(-1, 4_294_967_295).describe('Major number of the device.').optional(),
  minor: integer(-1, 4_294_967_295).describe('Minor number of the device.').optional(),
  mode: octalMode
    .describe("Permissions of the device node, octal, such as '0660'. Required unless path is 'all'.")
    .optional(),
});

const interfaceSchema = z.object({
  name: text(15).describe('Name of the network interface.').optional(),
  add: text(64)
    .describe("Type of an interface to create, such as 'veth' or 'dummy'; unset to move an existing one.")
    .optional(),
  peer: text(15).describe('Name of the other end of a veth pair.').optional(),
  createInRoot: z
    .boolean()
    .describe('Create the interface in the root network namespace and move it afterwards.')
    .optional(),
});

const bindNamespaces = z.object({
  cgroup: text(MAX_PATH).describe('Where to bind the control-group namespace.').optional(),
  ipc: text(MAX_PATH).describe('Where to bind the IPC namespace.').optional(),
  mnt: text(MAX_PATH).describe('Where to bind the mount namespace.').optional(),
  net: text(MAX_PATH).describe('Where to bind the network namespace.').optional(),
  pid: text(MAX_PATH).describe('Where to bind the process namespace.').optional(),
  user: text(MAX_PATH).describe('Where to bind the user namespace.').optional(),
  uts: text(MAX_PATH).describe('Where to bind the host name namespace.').optional(),
});

const runtimeSchema = z.object({
  cgroups: list(filledText(MAX_PATH), 64)
    .describe('Control groups to create before the container starts.')
    .optional(),
  mounts: list(mountSchema, 128)
    .describe('Mounts to make in the root namespace before the container starts.')
    .optional(),
  mkdir: list(filledText(MAX_PATH), 128)
    .describe(
      'Directories to create before the container starts; relative ones inside of its root file system.',
    )
    .optional(),
  interfaces: list(interfaceSchema, 64)
    .describe('Network interfaces to create or to move into the container.')
    .optional(),
  bindNS: bindNamespaces
    .describe('Paths at which to bind the namespaces of the container, for other containers to join.')
    .optional(),
  namespace: text(76)
    .describe("The containerd namespace of a service; 'services.linuxkit' by default.")
    .optional(),
});

const bind = patterned(
  2 * MAX_PATH,
  '^[^:\\x00]+:[^:\\x00]+(:[^:\\x00]*)?$',
  'must be source:destination or source:destination:options',
);

/** A namespace: `new`, `host` or `root`, or the path of an existing one. */
function namespace(description: string) {
  return text(MAX_PATH)
    .describe(`${description} Either 'new', 'host' (or 'root'), or a path to join.`)
    .optional();
}

/** What a container may say in a configuration as well as in the label of its image. */
const settings = {
  capabilities: list(capability, 64)
    .describe(
      "Capabilities of the process, such as CAP_NET_ADMIN; 'all' for every one. Replaces those of the image's label.",
    )
    .optional(),
  'capabilities.add': list(capability, 64)
    .describe(
      "Capabilities in addition to those of the image's label. Not used where `capabilities` is given.",
    )
    .optional(),
  ambient: list(capability, 64)
    .describe('Ambient capabilities, kept across execve(2) by other users than root.')
    .optional(),
  mounts: list(mountSchema, 128)
    .describe('Mounts in the container. One for the same destination replaces an earlier or a default one.')
    .optional(),
  binds: list(bind, 128)
    .describe(
      "Bind mounts as source:destination[:options]. A source without leading '/' is the name of a volume.",
    )
    .optional(),
  'binds.add': list(bind, 128)
    .describe("Bind mounts in addition to those of the image's label. Not used where `binds` is given.")
    .optional(),
  tmpfs: list(
    patterned(MAX_PATH, '^[^:\\x00]+(:[^:\\x00]*)?$', 'must be destination or destination:options'),
    128,
  )
    .describe('In-memory file systems as destination[:options].')
    .optional(),
  command: list(text(MAX_ARGUMENT), 256)
    .describe("Program and arguments. Replaces the image's entrypoint and command.")
    .optional(),
  env: list(filledText(MAX_ARGUMENT), 512)
    .describe("Environment as NAME=value. Replaces the image's environment as a whole.")
    .optional(),
  cwd: text(MAX_PATH).describe("Working directory; by default the image's, or '/'.").optional(),
  net: namespace("Network namespace; 'host' by default. 'none' is the same as 'new'."),
  pid: namespace("Process namespace; 'new' by default."),
  ipc: namespace("IPC namespace; 'host' by default."),
  uts: namespace("Host name namespace; 'host' by default."),
  userns: namespace("User namespace; 'host' by default."),
  hostname: text(64).describe('Host name, for a container with its own host name namespace.').optional(),
  readonly: z.boolean().describe('Make the root file system of the container read-only.').optional(),
  maskedPaths: list(filledText(MAX_PATH), 128).describe('Paths that the container cannot read.').optional(),
  readonlyPaths: list(filledText(MAX_PATH), 128)
    .describe('Paths that the container cannot write.')
    .optional(),
  uid: identity
    .describe(
      'User to run as: a number, or the name of another container, which stands for the number given to it.',
    )
    .optional(),
  gid: identity.describe('Group to run as, in the same forms.').optional(),
  additionalGids: list(identity, 64).describe('Further groups, in the same forms.').optional(),
  noNewPrivileges: z
    .boolean()
    .describe('Prevent programs from gaining privileges by set-user-id bits or file capabilities.')
    .optional(),
  oomScoreAdj: integer(-1000, 1000)
    .describe('Adjustment of the score by which processes are killed when memory runs out.')
    .optional(),
  rootfsPropagation: patterned(
    16,
    '^(r?(shared|slave|private|unbindable))?$',
    'must be shared, slave, private or unbindable, or one of them with r in front',
  )
    .describe('How mounts propagate between the container and the machine.')
    .optional(),
  cgroupsPath: text(MAX_PATH).describe('Path of the control group of the container.').optional(),
  resources: resourcesSchema.describe('Control-group limits.').optional(),
  sysctl: textMap(256, 1024).describe('Kernel parameters of the namespaces of the container.').optional(),
  rlimits: list(
    patterned(128, '^[^,]*,[^,]*,[^,]*$', "must be name,soft,hard, such as 'nofile,1024,4096'"),
    16,
  )
    .describe("Process limits as name,soft,hard, such as 'nofile,1024,4096'; 'unlimited' for none.")
    .optional(),
  uidMappings: idMappings('user ids'),
  gidMappings: idMappings('group ids'),
  annotations: textMap(128, 4096)
    .describe('Annotations in the configuration of the container, for its runtime.')
    .optional(),
  devices: list(deviceSchema, 128)
    .describe('Device nodes to create in the container, with access to them.')
    .optional(),
  runtime: runtimeSchema.describe('What to prepare in the machine before the container starts.').optional(),
  disableOOMKiller: z
    .boolean()
    .describe('Of configurations of 2017: the same as `resources.memory.disableOOMKiller`.')
    .optional(),
};

/** The label `org.mobyproject.config` of an image: the same settings, without name and image. */
export const labelSchema = z.object(settings);

const image = imageReference.describe('The OCI image, by tag, by digest, or both.');

/** An entry of `onboot` or `onshutdown`: run one after another, in order. Names may repeat. */
export const taskSchema = z.object({
  name: patterned(
    72,
    '^[A-Za-z0-9_][A-Za-z0-9_.+-]*$',
    "must be made of letters, digits, '_', '.', '+' and '-', and not begin with a mark",
  ).describe('Name of the container; becomes part of its path and id.'),
  image,
  ...settings,
});

/** An entry of `services`: kept running by containerd, whose rules for names apply. */
export const serviceSchema = z.object({
  name: patterned(
    76,
    '^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$',
    "must be made of letters and digits, with single '.', '_' or '-' between them",
  ).describe('Name of the service and id of its container, unique among the services.'),
  image,
  ...settings,
});
