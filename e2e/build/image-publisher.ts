import { buffer } from 'node:stream/consumers';
import { directory, type Entry, file, program, symlink } from '../images/entry.ts';
import type { OciLayout } from '../images/oci-layout.ts';
import { pushImage } from '../images/oci-push.ts';
import { type ContainerDefaults, type LayerSource, writeImage, writeIndex } from '../images/oci-writer.ts';
import { tarball } from '../images/tarball.ts';

/** Puts small images into a registry, for integration tests of the build. */
export class ImagePublisher {
  readonly #layout: OciLayout;
  readonly #registry: string;

  constructor(layout: OciLayout, registry: string) {
    this.#layout = layout;
    this.#registry = registry;
  }

  /** Publishes an image as an index of one platform, and gives its reference. */
  async publish(
    name: string,
    layers: readonly (readonly Entry[] | LayerSource)[],
    config: ContainerDefaults = {},
    tag = '1',
  ): Promise<string> {
    const sources = layers.map((layer) => (isList(layer) ? { entries: layer } : layer));
    const image = await writeImage(this.#layout, { layers: sources, config });
    const index = await writeIndex(this.#layout, [image]);
    await pushImage(index, { registry: this.#registry, repository: name, tag });
    return `${this.#registry}/${name}:${tag}`;
  }

  /** A kernel image: any bytes as the kernel, and an archive of modules. */
  async publishKernel(
    name: string,
    modules: readonly Entry[],
    more: readonly Entry[] = [],
    tag = '1',
  ): Promise<string> {
    const archive = await buffer(tarball(modules));
    return this.publish(name, [[file('kernel', 'a kernel'), file('kernel.tar', archive), ...more]], {}, tag);
  }
}

/** Modules of a kernel of that version, as an archive holds them. */
export function moduleEntries(version: string): readonly Entry[] {
  return [
    directory('lib'),
    directory('lib/modules'),
    directory(`lib/modules/${version}`),
    file(`lib/modules/${version}/modules.dep`, ''),
    file(`lib/modules/${version}/virtio.ko`, `module for ${version}`),
  ];
}

/** A root file system with hard links and merged `usr`. */
export const INIT_ENTRIES: readonly Entry[] = [
  program('usr/bin/busybox', 'busybox'),
  { type: 'hardlink', path: 'usr/bin/ls', target: 'usr/bin/busybox' },
  { type: 'hardlink', path: 'usr/bin/sh', target: 'usr/bin/busybox' },
  directory('usr/lib'),
  file('usr/lib/libc.so', 'libc'),
  symlink('lib', 'usr/lib'),
  symlink('bin', 'usr/bin'),
  program('init', '#!/bin/sh'),
  directory('etc', 0o755),
  file('etc/passwd', 'root'),
];

function isList(layer: readonly Entry[] | LayerSource): layer is readonly Entry[] {
  return Array.isArray(layer);
}
