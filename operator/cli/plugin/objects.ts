import type { ImageStatus } from '../../api/image.ts';
import type { MachineSpec, MachineStatus } from '../../api/machine.ts';
import { GROUP, IMAGE_KIND, MACHINE_KIND, MACHINE_PLURAL, VERSION } from '../../api/names.ts';
import { IMAGES, type ImageObject } from '../../controllers/image/objects.ts';
import type { KubeObject, Stored } from '../../runtime/objects.ts';
import { resource } from '../../runtime/resources.ts';
import { PluginError } from './error.ts';
import type { Session } from './session.ts';
import type { Target } from './target.ts';

/** A LinuxKitMachine as the API server, which has checked it by the schema, gives it. */
export interface MachineObject extends KubeObject {
  readonly spec?: MachineSpec;
  readonly status?: MachineStatus;
}

export const MACHINES = resource<MachineObject>({
  group: GROUP,
  version: VERSION,
  plural: MACHINE_PLURAL,
  kind: MACHINE_KIND,
});

/** Images and machines that are shown together. */
export interface Found {
  readonly images: readonly Stored<ImageObject>[];
  readonly machines: readonly Stored<MachineObject>[];
}

/** Everything in a namespace, or in all of them, ordered by namespace and name. */
export async function listAll(session: Session, allNamespaces: boolean): Promise<Found> {
  const options = { signal: session.signal, ...(allNamespaces ? {} : { namespace: session.namespace }) };
  const [images, machines] = await Promise.all([
    session.client.list(IMAGES, options),
    session.client.list(MACHINES, options),
  ]);
  return { images: images.items.toSorted(byKey), machines: machines.items.toSorted(byKey) };
}

/** What the targets name, in both kinds where they name no kind. Throws PluginError `NotFound`. */
export async function findTargets(session: Session, targets: readonly Target[]): Promise<Found> {
  const images: Stored<ImageObject>[] = [];
  const machines: Stored<MachineObject>[] = [];
  const { client, namespace, signal } = session;
  for (const { kind, name } of targets) {
    const key = { namespace, name };
    const [image, machine] = await Promise.all([
      kind === MACHINE_KIND ? undefined : client.find(IMAGES, key, { signal }),
      kind === IMAGE_KIND ? undefined : client.find(MACHINES, key, { signal }),
    ]);
    if (image !== undefined) images.push(image);
    if (machine !== undefined) machines.push(machine);
    if (image === undefined && machine === undefined)
      throw notFound(kind ?? 'image or machine', session, name);
  }
  return { images, machines };
}

/** Throws PluginError `NotFound`. */
export async function getImage(session: Session, name: string): Promise<Stored<ImageObject>> {
  const { client, namespace, signal } = session;
  const image = await client.find(IMAGES, { namespace, name }, { signal });
  if (image === undefined) throw notFound(IMAGE_KIND, session, name);
  return image;
}

/** Throws PluginError `NotFound`. */
export async function getMachine(session: Session, name: string): Promise<Stored<MachineObject>> {
  const { client, namespace, signal } = session;
  const machine = await client.find(MACHINES, { namespace, name }, { signal });
  if (machine === undefined) throw notFound(MACHINE_KIND, session, name);
  return machine;
}

/** The summary of an object's conditions. */
export function readyOf(status: ImageStatus | MachineStatus | undefined) {
  return status?.conditions?.find(({ type }) => type === 'Ready');
}

function notFound(what: string, { namespace }: Session, name: string): PluginError {
  return new PluginError('NotFound', `there is no ${what} ${name} in namespace ${namespace}`);
}

function byKey(left: KubeObject, right: KubeObject): number {
  const [one, other] = [left, right].map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  return (one ?? '') < (other ?? '') ? -1 : 1;
}
