import { LABEL_MACHINE } from '../../api/names.ts';
import { type Clock, SYSTEM_CLOCK } from '../../runtime/clock.ts';
import { Controller } from '../../runtime/controller.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { RuntimeMetrics } from '../../runtime/metrics.ts';
import { type KubeObject, keyOf, keyText, type ObjectKey } from '../../runtime/objects.ts';
import type { Tracer } from '../../telemetry/tracer.ts';
import { type MachineMetrics, MachineReconciler, type MachineReconcilerOptions } from './reconciler.ts';
import { RestartLedger } from './restart-ledger.ts';
import { NO_LIMITS } from './slots.ts';

export interface MachineControllerOptions
  extends Pick<MachineReconcilerOptions, 'client' | 'caches' | 'recorder' | 'render' | 'namespace'> {
  readonly logger: Logger;
  readonly workers?: number;
  readonly metrics?: RuntimeMetrics;
  readonly tracer?: Tracer;
  readonly machineMetrics?: MachineMetrics;
  /** Bounds on restarts over all machines; none if left out. */
  readonly ledger?: RestartLedger;
  readonly clock?: Clock;
}

/**
 * The controller of LinuxKitMachines. Its caches are run by the caller, also while it does not
 * lead; the Controller is run by the leader alone.
 *
 * The caches of KubeVirt's kinds do not hold up the start: where KubeVirt is not installed they
 * never fill, and machines shall say so instead of nothing.
 */
export function machineController(options: MachineControllerOptions): Controller {
  const { caches, logger, workers, metrics, tracer, machineMetrics, clock = SYSTEM_CLOCK } = options;
  const { client, recorder, render, namespace } = options;
  const reconciler = new MachineReconciler({
    client,
    caches,
    recorder,
    render,
    clock,
    ...(namespace === undefined ? {} : { namespace }),
    ...(machineMetrics === undefined ? {} : { metrics: machineMetrics }),
    ledger: options.ledger ?? new RestartLedger(NO_LIMITS, () => caches.machines.list()),
    wake: (keys) => {
      for (const key of keys) controller.queue.add(key);
    },
  });
  const controller: Controller = new Controller({
    name: 'machine',
    reconcile: (key, context) => reconciler.reconcile(key, context),
    logger,
    clock,
    ...(workers === undefined ? {} : { workers }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(tracer === undefined ? {} : { tracer }),
  });
  const { machines, images, virtualMachines, instances, pods, claims, revisions } = caches;
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
  // Made by us, or removed by somebody: of the first we know.
  claims.onChange(({ type, object }) => enqueue(type === 'deleted' ? labelled(object) : undefined));
  revisions.onChange(({ type, object }) => enqueue(type === 'deleted' ? labelled(object) : undefined));
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
