import type { Artifact, ImageStatus } from '../../api/image.ts';
import type { LinuxKitMachine } from '../../api/machine.ts';
import type {
  LauncherPod,
  OwnerReference,
  VirtualMachine,
  VirtualMachineInstance,
} from '../../kubevirt/types.ts';
import type { StoredRevision } from './revision.ts';
import type { Slots } from './slots.ts';

/** What a machine needs of its image. */
export interface ImageView {
  readonly metadata: { readonly name: string; readonly uid?: string; readonly deletionTimestamp?: string };
  readonly status?: ImageStatus;
}

/** A VirtualMachine; of one that is not labelled as ours, only the metadata is kept. */
export interface VirtualMachineView {
  readonly metadata: VirtualMachine['metadata'];
  readonly spec?: VirtualMachine['spec'];
  readonly status?: VirtualMachine['status'];
}

/** Metadata of an object that is made for a machine. */
export interface ObjectView {
  readonly metadata: {
    readonly name: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly OwnerReference[];
  };
}

/** Everything that a decision about one machine rests on, gathered at one moment. */
export interface Snapshot {
  readonly machine: LinuxKitMachine;
  readonly image: ImageView | undefined;
  /** Those that are kept, in no order. */
  readonly revisions: readonly StoredRevision[];
  /** Those of the machine, and whatever else has the name of one of its ordinals. */
  readonly virtualMachines: readonly VirtualMachineView[];
  /** Of those virtual machines. */
  readonly instances: readonly VirtualMachineInstance[];
  /** Of those instances. */
  readonly pods: readonly LauncherPod[];
  /** Metadata of the ConfigMaps that the machine owns. */
  readonly configMaps: readonly ObjectView[];
  /** Metadata of the PersistentVolumeClaims that carry the machine's label, or the name of one of its disks. */
  readonly claims: readonly ObjectView[];
  /**
   * Uids of instances that we have ended already, though the copy at hand may not show it: without
   * them an old copy would let one machine too many be restarted.
   */
  readonly ended: ReadonlySet<string>;
  /** What the machine's instance type gives its guests, where that is known. */
  readonly instanceMemory?: string;
  /** How many more machines may be restarted, given those that other objects' machines are taking. */
  readonly slots: Slots;
}

/** Why the image does not say what to boot. */
export interface Missing {
  readonly reason: 'ImageNotFound' | 'ImageNotReady' | 'DigestNotFound';
  readonly message: string;
}

/** What a machine is to boot, or why there is nothing yet. */
export type Target = { readonly artifact: Artifact } | { readonly missing: Missing };

/**
 * The artifact that the machine follows: the pinned one, or the present one of its image. A pinned
 * one is also found among the revisions: the image may have dropped it from its history.
 */
export function targetOf({
  machine,
  image,
  revisions,
}: Pick<Snapshot, 'machine' | 'image' | 'revisions'>): Target {
  const { name, digest } = machine.spec.imageRef;
  const { artifact, history = [], conditions } = image?.status ?? {};
  if (digest !== undefined) {
    const own = revisions.filter((revision) => revision.image === name).map((revision) => revision.artifact);
    const pinned = [artifact, ...history, ...own].find((known) => known?.digest === digest);
    if (pinned !== undefined) return { artifact: pinned };
  }
  if (image === undefined) {
    return { missing: { reason: 'ImageNotFound', message: `there is no LinuxKitImage ${name}` } };
  }
  if (digest !== undefined) {
    return {
      missing: {
        reason: 'DigestNotFound',
        message: `LinuxKitImage ${name} has no artifact ${digest}, neither as its present one nor in its history`,
      },
    };
  }
  if (artifact !== undefined) return { artifact };
  const ready = conditions?.find((condition) => condition.type === 'Ready');
  const because = ready === undefined ? '' : `: ${ready.reason}: ${ready.message}`;
  return {
    missing: { reason: 'ImageNotReady', message: `LinuxKitImage ${name} has no artifact yet${because}` },
  };
}
