/** Every name the product gives to a thing in a cluster, in one place. */

export const GROUP = 'linuxkit.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

export const IMAGE_KIND = 'LinuxKitImage';
export const IMAGE_PLURAL = 'linuxkitimages';
export const MACHINE_KIND = 'LinuxKitMachine';
export const MACHINE_PLURAL = 'linuxkitmachines';

/** On build Jobs, their pods and request ConfigMaps: the LinuxKitImage's name. */
export const LABEL_IMAGE = `${GROUP}/image`;
/** On build Jobs and their pods: the first 16 hex digits of the build hash. */
export const LABEL_BUILD = `${GROUP}/build`;
/** On VirtualMachines, their pods, and whatever else is made for a machine: the LinuxKitMachine's name. */
export const LABEL_MACHINE = `${GROUP}/machine`;
/** On VirtualMachines and their claims: the ordinal, a decimal number. */
export const LABEL_ORDINAL = `${GROUP}/ordinal`;

/** Held by a LinuxKitImage while it has objects in storage. */
export const FINALIZER_ARTIFACTS = `${GROUP}/artifacts`;
/** Held by a LinuxKitMachine while it has virtual machines. */
export const FINALIZER_MACHINES = `${GROUP}/virtual-machines`;
/** Any new value asks for one more build (or, on a machine, for one restart); an RFC 3339 time by convention. */
export const ANNOTATION_REBUILD = `${GROUP}/rebuild-requested-at`;
export const ANNOTATION_RESTART = `${GROUP}/restart-requested-at`;
/** On a machine, any new value: take what image and spec say now, also if it is pending or has failed before. */
export const ANNOTATION_UPDATE = `${GROUP}/update-requested-at`;
/** On a machine: `previous`, or a revision's name or number; `@` and anything after it make the request a new one. */
export const ANNOTATION_ROLLBACK = `${GROUP}/rollback-to`;
/** On a machine, `true`: its virtual machines are left alone altogether. */
export const ANNOTATION_PAUSED = `${GROUP}/paused`;
/** On a VirtualMachine of ours, `true`: this one is left alone. */
export const ANNOTATION_DETACHED = `${GROUP}/detached`;

/** Server-side apply field managers. */
export const MANAGER_IMAGE = 'linuxkit-image-controller';
export const MANAGER_MACHINE = 'linuxkit-machine-controller';

/** Audience of the projected service-account token that a build pod shows to the artifact endpoint. */
export const ARTIFACT_AUDIENCE = `artifacts.${GROUP}`;

/** Where a build pod finds its parts. */
export const BUILD_PATHS = {
  /** The BuildRequest, JSON, from the ConfigMap that the controller made. */
  request: '/etc/linuxkit/build/request.json',
  /** The user's own configuration when `configFrom` names a ConfigMap or Secret key. */
  config: '/etc/linuxkit/config',
  /** `files` taken from ConfigMap and Secret keys: one folder an entry, named by its index. */
  files: '/etc/linuxkit/files',
  /** Keys and trusted root of `verification` that come from ConfigMaps: `keys/<index>/<key>`, `trusted-root/<key>`. */
  verification: '/etc/linuxkit/verification',
  /** One folder a pull secret, named by the Secret, holding `.dockerconfigjson`. */
  pullSecrets: '/etc/linuxkit/pull-secrets',
  /** The Secret of `bootImage.pushSecretName`, holding `.dockerconfigjson`. */
  pushSecret: '/etc/linuxkit/push-secret',
  /** The projected token for {@link ARTIFACT_AUDIENCE}. */
  token: '/var/run/secrets/linuxkit.dev/token',
  /** Scratch space: an emptyDir. */
  work: '/var/lib/linuxkit/work',
  terminationMessage: '/dev/termination-log',
} as const;

/**
 * On the template of VirtualMachines, and so on each instance made from it: what it boots and of
 * what it was made. KubeVirt copies them when it makes an instance and never after, so they say
 * of a running instance what it was started with.
 */
export const ANNOTATION_ARTIFACT = `${GROUP}/artifact`;
export const ANNOTATION_REVISION = `${GROUP}/revision`;
/** On VirtualMachines: hash of what was last applied. */
export const ANNOTATION_APPLIED = `${GROUP}/applied`;
/** On ControllerRevisions: what differs from the revision before, as field names with commas between. */
export const ANNOTATION_CAUSE = `${GROUP}/cause`;
