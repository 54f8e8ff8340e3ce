import type { BuildReason } from './image.ts';

/**
 * Reasons of conditions and events, with what each means. They are part of the API: programs may
 * rely on them. An event has the reason of the condition that it tells of. The tables in `docs/`
 * are checked against these.
 */

/** `Ready`, `Reconciling` and `Stalled` of a LinuxKitImage, and its events. */
export const IMAGE_REASONS = {
  Available: 'The artifact was built from the present spec and is stored.',
  Pending: 'The image was just created; nothing has been decided yet.',
  BuildQueued: 'A build waits for its turn.',
  Building: 'A build runs.',
  BuildSucceeded: 'A build has stored an artifact.',
  BuildReused: 'The same inputs had been built before; the stored artifact was taken.',
  BuildRetrying: 'A build failed for a reason that may pass and is tried again.',
  BuildCancelled: 'A running build was no longer wanted and was ended.',
  Suspended: 'spec.suspend is true: no build is started.',
  ConfigNotFound: 'The ConfigMap or Secret, or its key, that the spec names does not exist.',
  InvalidLinuxKitConfig: 'The LinuxKit configuration is wrong; the message says where.',
  ImageNotFound: 'An image that the configuration names does not exist.',
  ImagePullFailed: 'An image that the configuration names could not be pulled.',
  RegistryUnreachable: 'A registry did not answer.',
  RegistryUnauthorized: 'A registry refused: no Secret with credentials for it, or the wrong one.',
  BootImagePushFailed: 'The boot image could not be pushed to the registry that spec.bootImage names.',
  DigestMismatch: 'A registry sent other bytes than their digest says.',
  InputVerificationFailed: 'A signature is missing or wrong.',
  AssemblyFailed: 'The kernel or the initrd could not be put together.',
  LimitExceeded: 'An input is larger than the operator allows.',
  StorageUnavailable: 'Object storage did not answer.',
  StorageDenied: 'Object storage, or the artifact endpoint, refused.',
  OutOfMemory: 'The build pod was killed for using more memory than it may.',
  Evicted: 'The build pod was evicted from its node.',
  DeadlineExceeded: 'The build took longer than spec.build.timeout.',
  BuilderImagePullFailed: "The operator's own image could not be pulled by the build pod's node.",
  PodRefused: 'The build pod was refused by admission or quota.',
  PodUnschedulable: 'No node takes the build pod.',
  PodLost: 'The build pod went away without a result.',
  Cancelled: 'The build was asked to end.',
  InternalError: 'Something the operator did not expect; the message and its log say what.',
  ArtifactMissing: 'The stored artifact is gone from object storage; it is built again.',
  ArtifactRemoved: 'An artifact that nothing keeps any more was removed from object storage.',
  NameConflict: 'A Job or ConfigMap of the name that a build needs is not ours; it is left alone.',
  Deleting: 'The stored artifacts are being removed.',
  ArtifactInUse: 'An artifact is kept because a machine boots it or may go back to it.',
} as const;

export type ImageReason = keyof typeof IMAGE_REASONS;

/** Why an artifact was built: `status.artifact.reason`, `status.build.reason`. */
export const BUILD_REASON_MEANINGS: Readonly<Record<BuildReason, string>> = {
  Created: 'The image had no artifact yet.',
  SpecChanged: 'The spec changed in something that determines the output.',
  ConfigChanged: 'A ConfigMap that the spec names changed.',
  Requested: 'The annotation linuxkit.dev/rebuild-requested-at has a new value.',
  Refresh: 'spec.refresh.interval has passed.',
  EngineChanged: 'The operator was upgraded to an engine that gives other output.',
};

/** Failures after which a further try, with nothing changed, cannot end otherwise. */
export const TERMINAL_BUILD_FAILURES: ReadonlySet<ImageReason> = new Set([
  'InvalidLinuxKitConfig',
  'ImageNotFound',
  'RegistryUnauthorized',
  'InputVerificationFailed',
  'AssemblyFailed',
  'LimitExceeded',
]);

/** `Ready`, `Reconciling` and `Stalled` of a LinuxKitMachine, and its events. */
export const MACHINE_REASONS = {
  UpToDate: 'Every machine runs what is wanted and is ready.',
  Halted: 'runStrategy is Halted: no machine runs, as wanted.',
  ScaledToZero: 'replicas is 0: there is no machine, as wanted.',
  ImageNotFound: 'The LinuxKitImage does not exist.',
  ImageNotReady: 'The LinuxKitImage has no artifact yet.',
  DigestNotFound: 'The pinned digest is neither the artifact nor in the history of the image.',
  Provisioning: 'Machines are being made or started.',
  RolloutInProgress: 'Machines are being restarted into what is wanted.',
  GuestNotReady: 'A machine runs, but is not ready, or not any more.',
  GuestEnded: 'A guest has ended that was ready and that nobody was to end; it is started again.',
  MachineFailing: 'A machine does not start; the message and its row say why.',
  ScalingDown: 'Machines above replicas are being removed.',
  NameConflict: 'A VirtualMachine of that name is not ours; it is left alone.',
  InvalidMachine: 'The spec, with the image, asks for something that would boot into silence.',
  InvalidTemplate: 'spec.template sets something that belongs to the operator.',
  Refused: 'KubeVirt, or the API server, refused what was made of the spec.',
  ApplyFailed: "The API server or KubeVirt's admission failed; it is tried again.",
  KubeVirtMissing: 'KubeVirt is not installed in this cluster.',
  MachineCreated: 'A VirtualMachine was made.',
  MachineRestarting: 'An instance was ended so that its machine starts with what is wanted.',
  MachineRestored: 'What somebody changed on a VirtualMachine of ours was taken back.',
  MachineDetached: 'A VirtualMachine is left alone, as its annotation asks.',
  MachineAttached: 'A VirtualMachine that was left alone is looked after again.',
  MachineDeleted: 'A VirtualMachine was removed.',
  ClaimCreated: 'A PersistentVolumeClaim was made for a machine.',
  ClaimDeleted: 'The PersistentVolumeClaim of a machine that was removed was deleted, as the policy says.',
  RolloutStarted: 'Machines are to be moved to another revision; the message says which and why.',
  RolloutComplete: 'Every machine runs the revision that was rolled out, and is ready.',
  RolloutHalted: 'A revision has failed; machines are left as they are until image or spec changes.',
  RolledBack: 'A revision has failed, or it was asked for: machines go back to an earlier one.',
  ProgressDeadlineExceeded: 'A machine did not come up with a revision in the time that it has for that.',
  RollbackRequested: 'The annotation linuxkit.dev/rollback-to asks for an earlier revision.',
  RevisionNotFound: 'The annotation linuxkit.dev/rollback-to names a revision that is not kept.',
  UpdatePending: 'A new revision waits for the annotation linuxkit.dev/update-requested-at.',
  UpdateStaged: 'A new revision is laid ready for machines to start with when they start again.',
  PartitionReached: 'Machines from update.partition on run the new revision; the others keep what they have.',
  WaitingForWindow: 'Machines are to be restarted; the maintenance window is closed.',
  WaitingForSlot:
    'Machines are to be restarted; as many as may restart at once in the cluster do so already.',
  Paused: 'The annotation linuxkit.dev/paused is set: machines are left alone.',
  Deleting: 'The machines are being removed.',
} as const;

export type MachineReason = keyof typeof MACHINE_REASONS;
