import type { Artifact, ImageStatus } from '../../api/image.ts';
import type { LinuxKitMachine } from '../../api/machine.ts';
import type { LauncherPod, VirtualMachine, VirtualMachineInstance } from '../../kubevirt/types.ts';

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

/** Everything that a decision about one machine rests on, gathered at one moment. */
export interface Snapshot {
  readonly machine: LinuxKitMachine;
  readonly image: ImageView | undefined;
  /** Those of the machine, and whatever else has the name of one of its ordinals. */
  readonly virtualMachines: readonly VirtualMachineView[];
  /** Of those virtual machines. */
  readonly instances: readonly VirtualMachineInstance[];
  /** Of those instances. */
  readonly pods: readonly LauncherPod[];
  /** Metadata of the ConfigMaps that the machine owns. */
  readonly configMaps: readonly { readonly metadata: { readonly name: string; readonly uid?: string } }[];
  /**
   * Uids of instances that we have ended already, though the copy at hand may not show it: without
   * them an old copy would let one machine too many be restarted.
   */
  readonly ended: ReadonlySet<string>;
}

/** What a machine is to boot, or why there is nothing yet. */
export type Target =
  | { readonly artifact: Artifact }
  | {
      readonly missing: {
        readonly reason: 'ImageNotFound' | 'ImageNotReady' | 'DigestNotFound';
        readonly message: string;
      };
    };

/** The artifact that the machine follows: the pinned one, or the present one of its image. */
export function targetOf({ machine, image }: Pick<Snapshot, 'machine' | 'image'>): Target {
  const { name, digest } = machine.spec.imageRef;
  if (image === undefined) {
    return { missing: { reason: 'ImageNotFound', message: `there is no LinuxKitImage ${name}` } };
  }
  const { artifact, history = [], conditions } = image.status ?? {};
  if (digest !== undefined) {
    const pinned = [artifact, ...history].find((known) => known?.digest === digest);
    if (pinned !== undefined) return { artifact: pinned };
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
