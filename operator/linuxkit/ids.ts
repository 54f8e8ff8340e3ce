import { InvalidSetting } from './errors.ts';
import type { Identity } from './schema.ts';

/** Users and groups by the name of a container: each container has a number of its own. */

export type ContainerIds = ReadonlyMap<string, number>;

const FIRST_ID = 100;

/** The parts of a configuration that give out numbers. */
export interface NamedContainers {
  readonly onboot?: readonly { readonly name?: string }[] | undefined;
  readonly onshutdown?: readonly { readonly name?: string }[] | undefined;
  readonly services?: readonly { readonly name?: string }[] | undefined;
}

/** Numbers from 100 on, through `onboot`, `onshutdown`, `services`. A name that comes again takes the later number. */
export function containerIds(config: NamedContainers): ContainerIds {
  const containers = [...(config.onboot ?? []), ...(config.onshutdown ?? []), ...(config.services ?? [])];
  const ids = new Map<string, number>();
  containers.forEach(({ name }, index) => {
    if (name !== undefined) ids.set(name, FIRST_ID + index);
  });
  return ids;
}

/** Throws {@link InvalidSetting} on an unknown name. The container's own /etc/passwd is not consulted. */
export function numericId(id: Identity | undefined, ids: ContainerIds): number {
  if (id === undefined || id === '' || id === 'root') return 0;
  if (typeof id === 'number') return id;
  const number = ids.get(id);
  if (number === undefined) {
    throw new InvalidSetting(
      `cannot find id ${JSON.stringify(id)}: it must be a number or the name of a container`,
    );
  }
  return number;
}
