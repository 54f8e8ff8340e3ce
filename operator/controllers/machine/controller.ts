import { LABEL_MACHINE } from '../../api/names.ts';
import { SYSTEM_CLOCK } from '../../runtime/clock.ts';
import { Controller } from '../../runtime/controller.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { RuntimeMetrics } from '../../runtime/metrics.ts';
import { type KubeObject, keyOf, keyText, type ObjectKey } from '../../runtime/objects.ts';
import { MachineReconciler, type MachineReconcilerOptions } from './reconciler.ts';

export interface MachineControllerOptions extends Omit<MachineReconcilerOptions, 'clock'> {
  readonly logger: Logger;
  readonly workers?: number;
  readonly metrics?: RuntimeMetrics;
  readonly clock?: MachineReconcilerOptions['clock'];
}

/**
 * The controller of LinuxKitMachines. Its caches are run by the caller, also while it does not
 * lead; the Controller is run by the leader alone.
 *
 * The caches of KubeVirt's kinds do not hold up the start: where KubeVirt is not installed they
 * never fill, and machines shall say so instead of nothing.
 */
export function machineController(options: MachineControllerOptions): Controller {
  const { caches, logger, workers, metrics, clock = SYSTEM_CLOCK } = options;
  const reconciler = new MachineReconciler({ ...options, clock });
  const controller = new Controller({
    name: 'machine',
    reconcile: (key, context) => reconciler.reconcile(key, context),
    logger,
    clock,
    ...(workers === undefined ? {} : { workers }),
    ...(metrics === undefined ? {} : { metrics }),
  });
  const { machines, images, virtualMachines, instances, pods } = caches;
  controller.watches(machines, ({ object }) => [keyOf(object)]);
  controller.watches(images, ({ object }) =>
    machines
      .list(object.metadata.namespace)
      .filter((machine) => machine.spec?.imageRef?.name === object.metadata.name)
      .map(keyOf),
  );
  const enqueue = (key: ObjectKey | undefined): void => {
    if (key !== undefined) controller.queue.add(keyText(key));
  };
  virtualMachines.onChange(({ object }) => enqueue(labelled(object) ?? namedLike(object)));
  instances.onChange(({ object }) => enqueue(labelled(object)));
  pods.onChange(({ object }) => enqueue(labelled(object)));
  return controller;
}

function labelled(object: KubeObject): ObjectKey | undefined {
  const name = object.metadata.labels?.[LABEL_MACHINE];
  return name === undefined ? undefined : { ...keyOf(object), name };
}

/** The machine that a virtual machine which is not ours may stand in the way of. */
function namedLike(object: KubeObject): ObjectKey | undefined {
  const name = /^(.+)-\d+$/.exec(object.metadata.name)?.[1];
  return name === undefined ? undefined : { ...keyOf(object), name };
}
