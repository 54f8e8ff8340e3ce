import type { MachineStatus } from '../../api/machine.ts';
import type { MachineReason } from '../../api/reasons.ts';
import type { MetadataConfigMap } from '../../kubevirt/guest-metadata.ts';
import type { VirtualMachine } from '../../kubevirt/types.ts';

/** Something to do to the cluster. Done in order; each is safe to do again. */
export type Action =
  | { readonly kind: 'createConfigMap'; readonly configMap: MetadataConfigMap }
  /** `uid` of the virtual machine that is changed; undefined to make one, which must then not exist. */
  | { readonly kind: 'applyMachine'; readonly vm: VirtualMachine; readonly uid: string | undefined }
  /** The machine starts again by itself: its run strategy is Always. */
  | { readonly kind: 'deleteInstance'; readonly name: string; readonly uid: string }
  /** Under the other run strategies a deleted instance stays away; KubeVirt's subresource restarts it. */
  | { readonly kind: 'restartInstance'; readonly name: string; readonly uid: string }
  | { readonly kind: 'deleteMachine'; readonly name: string; readonly uid: string }
  | { readonly kind: 'deleteConfigMap'; readonly name: string; readonly uid: string };

/** The object that an action is about. */
export function nameOf(action: Action): string {
  switch (action.kind) {
    case 'createConfigMap':
      return action.configMap.metadata.name;
    case 'applyMachine':
      return action.vm.metadata.name;
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

/** What follows from a snapshot. */
export interface Decision {
  readonly actions: readonly Action[];
  /** Events that tell of the actions: recorded only once these are done. */
  readonly done: readonly Tell[];
  /** Undefined for a machine that is being deleted: garbage collection does the rest. */
  readonly status?: MachineStatus;
  /** Events that tell what the status has become. */
  readonly observed: readonly Tell[];
  /** When to look again though nothing changes. */
  readonly requeueAfterMs?: number;
}
