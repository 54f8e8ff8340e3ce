import { type JsonObject, unlessBlank } from './go-json.ts';
import { idMapping, mountJson } from './mounts.ts';
import type { RuntimeSettings } from './settings.ts';

/**
 * A container's `runtime.json`: what LinuxKit's init does in the machine before the container
 * starts. Every key is present. The mounts begin with those that make the root file system.
 */
export function runtimeConfig(runtime: RuntimeSettings, rootfs: readonly JsonObject[]): JsonObject {
  const { bindNS } = runtime;
  return {
    cgroups: runtime.cgroups,
    mounts: [
      ...rootfs,
      ...runtime.mounts.map(({ destination = '', uidmappings, gidmappings, ...mount }) =>
        mountJson({
          destination,
          ...mount,
          uidMappings: uidmappings?.map(idMapping),
          gidMappings: gidmappings?.map(idMapping),
        }),
      ),
    ],
    mkdir: runtime.mkdir,
    interfaces: runtime.interfaces.map(({ name, add, peer, createInRoot }) => ({
      name: unlessBlank(name),
      add: unlessBlank(add),
      peer: unlessBlank(peer),
      createInRoot: createInRoot ?? false,
    })),
    bindNS: {
      cgroup: bindNS.cgroup,
      ipc: bindNS.ipc,
      mnt: bindNS.mnt,
      net: bindNS.net,
      pid: bindNS.pid,
      user: bindNS.user,
      uts: bindNS.uts,
    },
    namespace: runtime.namespace,
  };
}

/** A tmpfs for the changes, private to itself, and an overlay of it over the image's files. */
export function writableRoot(bundle: string, lower: string): readonly JsonObject[] {
  const tmp = `/${bundle}/tmp`;
  return [
    mountJson({ destination: tmp, type: 'tmpfs', source: 'tmpfs' }),
    mountJson({ destination: tmp, options: ['remount', 'private'] }),
    mountJson({
      destination: `/${bundle}/rootfs`,
      type: 'overlay',
      source: 'overlay',
      options: [`lowerdir=/${lower}`, `upperdir=${tmp}/upper`, `workdir=${tmp}/work`],
    }),
  ];
}

/** The image's files themselves; bound to their own place where they are there already, since runc wants a mount point. */
export function readonlyRoot(bundle: string, root: string): readonly JsonObject[] {
  return [mountJson({ destination: `/${bundle}/rootfs`, source: `/${root}`, options: ['bind'] })];
}
