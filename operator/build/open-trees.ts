import { setImmediate as othersFirst } from 'node:timers/promises';
import type { FileContent } from '../initramfs/entry.ts';
import type { FileTree } from '../oci/file-tree.ts';
import { flatten } from '../oci/flatten.ts';
import type { ImageLayout } from '../oci/image-layout.ts';
import type { HeldBlobs, HeldLayers, LayerStore } from '../oci/layer-store.ts';
import type { ImageLimits } from '../oci/limits.ts';
import type { Digest } from '../oci/types.ts';
import { type ImageTree, imageTree, plainTree } from './image-tree.ts';
import { type KernelImage, openKernelImage } from './kernel-image.ts';
import { layoutTree } from './layout-tree.ts';
import type { KernelSource, MemberSource, TreeSource } from './sources.ts';

/** An image that is taken as it is: nobody asks for its files. */
const NO_FILES: FileTree = { nodes: () => Iterator.from([]), get: () => undefined };

/** An image whose files can be read. */
export interface OpenTree {
  /** As they are in the image. */
  readonly files: FileTree;
  /** As they go into the initrd, before those of others are considered. */
  readonly tree: ImageTree;
}

export interface OpenKernel extends OpenTree {
  readonly kernel: KernelImage;
}

/**
 * The images that a build reads. Those that it will want are announced, so that all pulls begin early;
 * what is opened stays open until it is closed or the build is over.
 */
export class OpenTrees implements AsyncDisposable {
  readonly #layers: LayerStore;
  readonly #limits: ImageLimits;
  readonly #signal: AbortSignal;
  readonly #held = new Map<MemberSource, Promise<HeldLayers>>();
  readonly #heldBlobs = new Map<MemberSource, Promise<HeldBlobs>>();
  readonly #opened = new Map<MemberSource, Promise<OpenTree>>();

  constructor({
    layers,
    limits,
    signal,
  }: {
    readonly layers: LayerStore;
    readonly limits: ImageLimits;
    readonly signal: AbortSignal;
  }) {
    this.#layers = layers;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** Begins to pull the image, unless that was done before. */
  announce(source: MemberSource): void {
    if (source.kind !== 'kernel' && source.layout !== undefined) void this.#holdBlobs(source, source.layout);
    else void this.#hold(source);
  }

  open(source: TreeSource): Promise<OpenTree> {
    if (source.layout !== undefined) return this.#openLayout(source, source.layout);
    return this.#open(source, async (files) => ({
      files,
      tree: imageTree(files, source.kind, source.place),
    }));
  }

  openKernel(source: KernelSource): Promise<OpenKernel> {
    return this.#open(source, async (files) => {
      const kernel = openKernelImage(files, source.step, source.image, this.#limits);
      const none: ImageTree = { entries: [], implied: new Set() };
      return { files, kernel, tree: kernel.modules === undefined ? none : plainTree(kernel.modules) };
    });
  }

  /** Forgets what is known of the image's files; those that were asked for can still be read. */
  forget(source: MemberSource): void {
    this.#opened.delete(source);
  }

  /** Lets go of the image; what was read of it must not be used any more. */
  async close(source: MemberSource): Promise<void> {
    const held = [this.#held.get(source), this.#heldBlobs.get(source)];
    this.#held.delete(source);
    this.#heldBlobs.delete(source);
    this.#opened.delete(source);
    for (const pending of held) {
      const content = await pending?.catch(() => undefined);
      await content?.[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const held = [...this.#held.keys(), ...this.#heldBlobs.keys()];
    await Promise.all(held.map((source) => this.close(source)));
  }

  #open<T extends OpenTree>(source: MemberSource, read: (files: FileTree) => Promise<T>): Promise<T> {
    const known = this.#opened.get(source);
    // A source is opened by one of the two methods alone: its kind says which.
    if (known !== undefined) return known as Promise<T>;
    const opened = this.#hold(source).then(async ({ layers }) => {
      // Pulls go on between two long computations.
      await othersFirst();
      const files = flatten(layers, this.#limits);
      await othersFirst();
      return read(files);
    });
    opened.catch(() => undefined);
    this.#opened.set(source, opened);
    return opened;
  }

  async #openLayout(source: TreeSource, layout: ImageLayout): Promise<OpenTree> {
    const { spools } = await this.#holdBlobs(source, layout);
    const at = new Map(layout.blobs.map(({ digest }, index) => [digest, spools[index]]));
    const content = (digest: Digest): FileContent => {
      const spool = at.get(digest);
      if (spool === undefined) throw new Error(`${digest} is no blob of the layout`);
      return { descriptor: spool.descriptor, offset: 0 };
    };
    return { files: NO_FILES, tree: layoutTree(layout, content, source.place) };
  }

  #holdBlobs(source: TreeSource, layout: ImageLayout): Promise<HeldBlobs> {
    const known = this.#heldBlobs.get(source);
    if (known !== undefined) return known;
    const held = this.#layers.holdBlobs(layout.reference, layout.blobs, this.#signal);
    held.catch(() => undefined);
    this.#heldBlobs.set(source, held);
    return held;
  }

  #hold(source: MemberSource): Promise<HeldLayers> {
    const known = this.#held.get(source);
    if (known !== undefined) return known;
    const held = this.#layers.hold(source.image, this.#signal);
    // Whoever opens the image meets the failure; before that it is nobody's.
    held.catch(() => undefined);
    this.#held.set(source, held);
    return held;
  }
}
