import { limitExceeded, OciError, quotePath } from './errors.ts';
import type { FileTree } from './file-tree.ts';
import type { IndexedLayer } from './layer-index.ts';
import { type LayerName, readLayerName, splitPath, WHITEOUT } from './layer-path.ts';
import type { Spool } from './spool.ts';
import type { IndexedTarEntry } from './tar/entry.ts';
import { FLATTEN_LIMITS, type FlattenLimits, OrderedTree, type Place } from './tree-order.ts';

/** Symbolic links that are followed on the way to an entry, as on Linux (MAXSYMLINKS). */
const MAX_SYMLINKS = 40;

/**
 * Applies layers, lowest first, as a container engine would unpack them: a layer's whiteouts hide
 * what lies below before its entries are added, wherever in it they stand; links on the way to an
 * entry are followed inside the image; directories merge, all else replaces. A directory that no
 * entry makes is added where something lies in it.
 *
 * Nothing touches a file system. Throws `UnsafePath`, `InvalidLayer` or `LimitExceeded`, with the layer's digest.
 */
export function flatten(layers: readonly IndexedLayer[], limits: FlattenLimits = FLATTEN_LIMITS): FileTree {
  const builder = new TreeBuilder(limits);
  for (const layer of layers) builder.apply(layer);
  return builder.finish();
}

class TreeBuilder {
  readonly #limits: FlattenLimits;
  readonly #root: Place & { readonly children: Map<string, Place> };
  #where = '';
  #created = 0;
  /** Where the last entry went: most entries lie in the same directory as the one before. */
  #last: { readonly path: string; readonly place: Place } | undefined;

  constructor(limits: FlattenLimits) {
    this.#limits = limits;
    const root = {
      name: '',
      inode: { entry: undefined, spool: undefined, links: 0 },
      children: new Map<string, Place>(),
    };
    this.#root = Object.assign(root, { parent: root as unknown as Place });
  }

  apply(layer: IndexedLayer): void {
    this.#where = `layer ${layer.digest}`;
    for (const entry of layer.entries) {
      if (!entry.path.includes(WHITEOUT)) continue;
      const name = readLayerName(entry.path, this.#where);
      if (name.kind !== 'entry') this.#hide(name);
    }
    for (const entry of layer.entries) {
      const name = readLayerName(entry.path, this.#where);
      if (name.kind === 'entry') this.#add(entry, name.components, layer.spool);
    }
  }

  #hide(name: Exclude<LayerName, { readonly kind: 'entry' }>): void {
    this.#last = undefined;
    switch (name.kind) {
      case 'whiteout':
        this.#walk(name.components.slice(0, -1), 'find')?.children?.delete(name.components.at(-1) ?? '');
        break;
      case 'opaque':
        this.#walk(name.components, 'find')?.children?.clear();
        break;
      case 'ignored':
        break;
    }
  }

  #add(entry: IndexedTarEntry, components: readonly string[], spool: Spool): void {
    const name = components.at(-1);
    if (name === undefined) {
      if (entry.type !== 'directory') throw this.#invalid(`its root is a ${entry.type}, not a directory`);
      this.#root.inode.entry = entry;
      return;
    }
    const parent = this.#parent(components);
    const siblings = parent.children ?? new Map<string, Place>();
    const existing = siblings.get(name);
    if (entry.type === 'hardlink') {
      const target = this.#linkTarget(entry);
      if (target === existing) throw this.#invalid(`${quotePath(entry.path)} is a hard link to itself`);
      this.#put(siblings, { name, parent, inode: target.inode });
      return;
    }
    if (entry.type === 'directory' && existing?.children !== undefined) {
      existing.inode.entry = entry;
      return;
    }
    const place: Place = { name, parent, inode: { entry, spool, links: 0 } };
    this.#put(siblings, entry.type === 'directory' ? { ...place, children: new Map() } : place);
  }

  #put(siblings: Map<string, Place>, place: Place): void {
    if (++this.#created > this.#limits.maxTreeNodes) {
      throw limitExceeded('maxTreeNodes', this.#limits.maxTreeNodes, this.#where);
    }
    // What replaces a directory may take away the one that the last entry lay in.
    if (siblings.has(place.name)) this.#last = undefined;
    siblings.set(place.name, place);
  }

  #parent(components: readonly string[]): Place {
    const path = components.slice(0, -1).join('/');
    if (this.#last?.path === path) return this.#last.place;
    const place = this.#walk(components.slice(0, -1), 'create');
    if (place === undefined) throw this.#invalid(`${quotePath(components.join('/'))} has no place`);
    this.#last = { path, place };
    return place;
  }

  #linkTarget(entry: IndexedTarEntry): Place {
    const components = splitPath(entry.linkTarget, this.#where);
    const directory = this.#walk(components.slice(0, -1), 'find');
    const target = directory?.children?.get(components.at(-1) ?? '');
    const what = `the hard link ${quotePath(entry.path)} names ${quotePath(entry.linkTarget)}`;
    if (target === undefined) throw this.#invalid(`${what}, which does not exist`);
    if (target.children !== undefined) throw this.#invalid(`${what}, which is a directory`);
    return target;
  }

  /** The directory at a path, through symbolic links, `/` being the image's root throughout. */
  #walk(components: readonly string[], missing: 'find' | 'create'): Place | undefined {
    const pending = components.toReversed();
    let links = 0;
    let current: Place = this.#root;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        current = current.parent;
        continue;
      }
      const child = current.children?.get(name);
      if (child === undefined) {
        if (missing === 'find' || current.children === undefined) return undefined;
        const created: Place = {
          name,
          parent: current,
          inode: { entry: undefined, spool: undefined, links: 0 },
          children: new Map(),
        };
        this.#put(current.children, created);
        current = created;
      } else if (child.children !== undefined) {
        current = child;
      } else if (child.inode.entry?.type === 'symlink') {
        if (++links > MAX_SYMLINKS) {
          throw this.#invalid(
            `the symbolic links on the way to ${quotePath(components.join('/'))} never end`,
          );
        }
        const target = child.inode.entry.linkTarget;
        if (target.startsWith('/')) current = this.#root;
        pending.push(...target.split('/').toReversed());
      } else {
        if (missing === 'find') return undefined;
        const there = `${quotePath(name)}, a ${child.inode.entry?.type ?? 'directory'}`;
        throw this.#invalid(
          `what is to lie in ${quotePath(components.join('/'))} cannot: on the way there is ${there}`,
        );
      }
    }
    return current;
  }

  finish(): FileTree {
    return new OrderedTree(this.#root, this.#limits, this.#where);
  }

  #invalid(what: string): OciError {
    return new OciError('InvalidLayer', `${this.#where}: ${what}`);
  }
}
