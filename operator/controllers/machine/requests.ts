import type { LinuxKitMachine } from '../../api/machine.ts';
import {
  ANNOTATION_DETACHED,
  ANNOTATION_PAUSED,
  ANNOTATION_ROLLBACK,
  ANNOTATION_UPDATE,
} from '../../api/names.ts';

/** What is asked for by annotation. A request is new when its value is not the one that status says was handled. */
export interface Requests {
  /** Take what image and spec say now. */
  readonly update: boolean;
  /** Go back to: `previous`, or a revision's name or number. */
  readonly rollback: string | undefined;
  readonly paused: boolean;
  /** What status is to remember of them. */
  readonly handled: { readonly lastHandledUpdate?: string; readonly lastHandledRollback?: string };
}

const LONGEST = 256;

/** While a machine is paused, requests wait. */
export function requestsOf({ metadata, status }: LinuxKitMachine): Requests {
  const { annotations } = metadata;
  if (isSet(annotations?.[ANNOTATION_PAUSED])) {
    const { lastHandledUpdate, lastHandledRollback } = status ?? {};
    const handled = {
      ...(lastHandledUpdate === undefined ? {} : { lastHandledUpdate }),
      ...(lastHandledRollback === undefined ? {} : { lastHandledRollback }),
    };
    return { update: false, rollback: undefined, paused: true, handled };
  }
  const update = annotations?.[ANNOTATION_UPDATE]?.slice(0, LONGEST);
  const rollback = annotations?.[ANNOTATION_ROLLBACK]?.slice(0, LONGEST);
  return {
    update: update !== undefined && update !== status?.lastHandledUpdate,
    rollback:
      rollback !== undefined && rollback !== status?.lastHandledRollback
        ? rollback.split('@')[0]?.trim()
        : undefined,
    paused: false,
    handled: {
      ...(update === undefined ? {} : { lastHandledUpdate: update }),
      ...(rollback === undefined ? {} : { lastHandledRollback: rollback }),
    },
  };
}

/** Of a virtual machine: it is left alone for somebody to look into. */
export function isDetached(vm: {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}): boolean {
  return isSet(vm.metadata.annotations?.[ANNOTATION_DETACHED]);
}

/** `kubectl annotate … KEY=` sets it as well as `KEY=true` does. */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== 'false';
}
