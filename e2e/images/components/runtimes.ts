import { join } from 'node:path';

import type { Component } from '../component.ts';
import { file, program, symlink } from '../entry.ts';

const RUNC_PACKAGES = ['runc', 'libc6', 'libseccomp2'];
const CONTAINERD_PACKAGES = ['containerd', 'libc6'];

/** runc, and the two places where the machine runs containers to completion. */
export const runc: Component = {
  repository: 'linuxkit/runc',
  tag: '1.1',
  recipe: import.meta.url,
  packages: RUNC_PACKAGES,
  async make(workshop) {
    const binary = join(await workshop.package('runc'), 'usr/sbin/runc');
    return {
      layers: [
        { entries: await workshop.libraries([binary], RUNC_PACKAGES) },
        {
          entries: [
            program('usr/bin/runc', { disk: binary }),
            symlink('etc/init.d/010-onboot', '/usr/bin/service'),
            symlink('etc/shutdown.d/010-onshutdown', '/usr/bin/service'),
          ],
        },
      ],
    };
  },
};

/** Only what runs LinuxKit's services: no Kubernetes interface, no snapshots of other kinds. */
const CONFIG = `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
`;

/** containerd with its shim and client, and the place where the machine starts the services. */
export const containerd: Component = {
  repository: 'linuxkit/containerd',
  tag: '1.6',
  recipe: import.meta.url,
  packages: CONTAINERD_PACKAGES,
  async make(workshop) {
    const folder = join(await workshop.package('containerd'), 'usr/bin');
    const names = ['containerd', 'containerd-shim-runc-v2', 'ctr'];
    const binaries = names.map((name) => join(folder, name));
    return {
      layers: [
        { entries: await workshop.libraries(binaries, CONTAINERD_PACKAGES) },
        {
          entries: [
            ...names.map((name) => program(`usr/bin/${name}`, { disk: join(folder, name) })),
            symlink('etc/init.d/020-containerd', '/usr/bin/service'),
            file('etc/containerd/config.toml', CONFIG),
            file('etc/containerd/runtime-config.toml', 'cliopts="--log-level warn"\n'),
          ],
        },
      ],
    };
  },
};
