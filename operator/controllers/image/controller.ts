import { LABEL_IMAGE } from '../../api/names.ts';
import { SYSTEM_CLOCK } from '../../runtime/clock.ts';
import { Controller, type ControllerOptions } from '../../runtime/controller.ts';
import type { Change } from '../../runtime/informer.ts';
import { controllerOf, type KubeObject, keyOf, type ObjectKey, parseKey } from '../../runtime/objects.ts';
import type { ImageCaches } from './caches.ts';
import type { MachineObject } from './objects.ts';
import { ImageReconciler, type ImageReconcilerOptions } from './reconciler.ts';
import { digestsInUse } from './usage.ts';

/** The image controller, wired to what it watches. Its caches must be run beside it. */
export function createImageController(
  options: ImageReconcilerOptions,
  controller: Omit<ControllerOptions, 'name' | 'reconcile'>,
): Controller {
  const { caches } = options;
  const reconciler = new ImageReconciler(options);
  const made = new Controller({ ...controller, name: 'image', reconcile: reconciler.reconcile });
  made.watches(caches.images, (change) => [keyOf(change.object)]);
  made.watches(caches.jobs, (change) => [ownerKey(change.object), ...nextInTurn(options)]);
  made.watches(caches.pods, (change) => [labelledImage(change.object)]);
  made.watches(caches.machines, (change) => imagesOfMachine(change, caches));
  made.watches(caches.configMaps, (change) => [
    ownerKey(change.object),
    ...imagesNaming(change.object, caches),
  ]);
  return made;
}

function ownerKey(object: KubeObject): ObjectKey | undefined {
  const owner = controllerOf(object);
  return owner?.kind === 'LinuxKitImage' ? inNamespaceOf(object, owner.name) : undefined;
}

function labelledImage(pod: KubeObject): ObjectKey | undefined {
  return inNamespaceOf(pod, pod.metadata.labels?.[LABEL_IMAGE]);
}

function inNamespaceOf({ metadata }: KubeObject, name: string | undefined): ObjectKey | undefined {
  return metadata.namespace === undefined || name === undefined
    ? undefined
    : { namespace: metadata.namespace, name };
}

/** When a Job is made or ends, whoever may begin a build then. */
function nextInTurn({ queue, clock = SYSTEM_CLOCK }: ImageReconcilerOptions): readonly ObjectKey[] {
  return queue === undefined ? [] : [...queue.admitted(clock.now())].map(parseKey);
}

/** When a machine takes up digests or lets go of some: the images of its namespace, for whom that may change what is kept. */
function imagesOfMachine(change: Change<MachineObject>, caches: ImageCaches): readonly ObjectKey[] {
  const held = (machine: MachineObject): string => [...digestsInUse([machine]).keys()].sort().join();
  if (change.type === 'updated' && held(change.old) === held(change.object)) return [];
  return caches.images.list(change.object.metadata.namespace).map(keyOf);
}

/** The images whose spec takes text from this ConfigMap. */
function imagesNaming(configMap: KubeObject, caches: ImageCaches): readonly ObjectKey[] {
  const { namespace, name } = configMap.metadata;
  return caches.images.byIndex('configMap', `${namespace ?? ''}/${name}`).map(keyOf);
}
