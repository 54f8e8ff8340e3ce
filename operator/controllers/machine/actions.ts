import type { MachineStatus } from '../../api/machine.ts';
import type { MachineReason } from '../../api/reasons.ts';
import type { MachineClaim } from '../../kubevirt/claim.ts';
import type { MetadataConfigMap } from '../../kubevirt/guest-metadata.ts';
import type { OwnerReference, VirtualMachine } from '../../kubevirt/types.ts';
import type { ControllerRevision } from './revision.ts';
import type { Transit } from './slots.ts';

/** Something to do to the cluster. Done in order; each is safe to do again. */
export type Action =
  | { readonly kind: 'createRevision'; readonly revision: ControllerRevision }
  /** An earlier revision has become the newest again. */
  | { readonly kind: 'numberRevision'; readonly name: string; readonly uid: string; readonly number: number }
  | { readonly kind: 'deleteRevision'; readonly name: string; readonly uid: string }
  | { readonly kind: 'createConfigMap'; readonly configMap: MetadataConfigMap }
  | { readonly kind: 'createClaim'; readonly claim: MachineClaim }
  | {
      readonly kind: 'ownClaim';
      readonly name: string;
      readonly resourceVersion: string;
      readonly ownerReferences: readonly OwnerReference[];
    }
  | { readonly kind: 'deleteClaim'; readonly name: string; readonly uid: string }
  /** `uid` of the virtual machine that is changed; undefined to make one, which must then not exist. */
  | { readonly kind: 'applyMachine'; readonly vm: VirtualMachine; readonly uid: string | undefined }
  /** The machine starts again by itself: its run strategy is Always. */
  | {
      readonly kind: 'deleteInstance';
      readonly name: string;
      readonly uid: string;
      readonly why: RestartReason;
    }
  /** Under the other run strategies a deleted instance stays away; KubeVirt's subresource restarts it. */
  | {
      readonly kind: 'restartInstance';
      readonly name: string;
      readonly uid: string;
      readonly why: RestartReason;
    }
  | { readonly kind: 'deleteMachine'; readonly name: string; readonly uid: string }
  | { readonly kind: 'deleteConfigMap'; readonly name: string; readonly uid: string };

/** Why a machine is restarted: for a new revision, back to an earlier one, or because it was asked for. */
export type RestartReason = 'Rollout' | 'Rollback' | 'Requested';

/** The object that an action is about. */
export function nameOf(action: Action): string {
  switch (action.kind) {
    case 'createRevision':
      return action.revision.metadata.name;
    case 'createConfigMap':
      return action.configMap.metadata.name;
    case 'createClaim':
      return action.claim.metadata.name;
    case 'applyMachine':
      return action.vm.metadata.name;
    case 'numberRevision':
    case 'deleteRevision':
    case 'ownClaim':
    case 'deleteClaim':
    case 'deleteInstance':
    case 'restartInstance':
    case 'deleteMachine':
    case 'deleteConfigMap':
      return action.name;
  }
}

/** Something to tell in the machine's events. */
export interface Tell {
  readonly type: 'Normal' | 'Warning';
  readonly reason: MachineReason;
  /** What was done, CamelCase. */
  readonly action: string;
  readonly note: string;
}

export interface Boot {
  /** The virtual machine. */
  readonly name: string;
  /** Uid of the instance. */
  readonly instance: string;
  /** RFC 3339. */
  readonly created: string | undefined;
  readonly readySince: string | undefined;
}

/** What follows from a snapshot. */
export interface Decision {
  readonly actions: readonly Action[];
  /** Events that tell of the actions: recorded only once these are done. */
  readonly done: readonly Tell[];
  readonly status: MachineStatus;
  /** Events that tell what the status has become. */
  readonly observed: readonly Tell[];
  /** Machines that are on their way up once the actions are done. */
  readonly transits: readonly Transit[];
  /** Instances that there are, and since when they are ready. */
  readonly boots: readonly Boot[];
  /** Machines are held back until others have come up. */
  readonly waitsForSlot: boolean;
  /** When to look again though nothing changes. */
  readonly requeueAfterMs?: number;
}
