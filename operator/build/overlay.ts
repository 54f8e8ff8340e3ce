import { CodedError } from '../errors.ts';
import { parentOf } from '../initramfs/entry.ts';
import { shown } from '../initramfs/error.ts';

/** What an entry of a tree is, as far as it matters to the entries of other trees. */
export interface IndexEntry {
  readonly path: string;
  /** `implied`: a directory that nobody asked for, made since something lies in it. */
  readonly type: 'directory' | 'implied' | 'file' | 'symlink' | 'special';
  /** Of a symlink. */
  readonly target?: string;
}

/** One tree of several that are unpacked over each other, lowest first. */
export interface TreeLayer {
  /** For messages: `init[1]`, `files`. */
  readonly name: string;
  readonly entries: readonly IndexEntry[];
}

/** What must happen to a tree's entries before it is written: first moves, then removals, by the path after moving, then additions. */
export interface Adjustment {
  /** Folders whose contents go elsewhere, since the folder is a symlink there: `lib` to `usr/lib`. */
  readonly moves: readonly { readonly from: string; readonly to: string }[];
  readonly removed: readonly string[];
  /** Directories that moved entries need and only later trees have. In order, as the others are. */
  readonly added: readonly string[];
}

/** Trees that cannot be one. */
export class TreeConflictError extends CodedError<'TreeConflict'> {}

export interface Overlay {
  /** One for each layer. */
  readonly adjustments: readonly Adjustment[];
  /** What is at a path in the end. */
  readonly get: (path: string) => IndexEntry['type'] | undefined;
}

/** As many symlinks as Linux follows on the way to one file. */
const MAX_LINKS = 40;

interface Occupant {
  readonly layer: number;
  readonly entry: IndexEntry;
}

/**
 * Lays trees over each other so that no path but a directory's is in two of them, and nothing
 * depends on what the kernel does when one entry meets another: it would write through hard
 * links, keep old devices, and drop whatever is to replace a folder with something in it.
 *
 * Later entries replace earlier ones. Where a symlink to a directory meets a directory, in whichever
 * order, the link stays and the directory's contents go where it leads: that is how kernel modules
 * in `lib` come to an image whose `lib` leads to `usr/lib`. Throws {@link TreeConflictError} where a
 * file is to replace a directory with something in it.
 */
export function overlay(layers: readonly TreeLayer[]): Overlay {
  const moves = findMoves(layers);
  const occupied = new Map<string, Occupant>();
  /** By path, the layers below the occupant's that have a directory there as well. */
  const shared = new Map<string, number[]>();
  const removed = layers.map(() => new Set<string>());

  layers.forEach((layer, index) => {
    for (const original of layer.entries) {
      const path = moved(original.path, moves);
      // The directory that met a symlink: the link is what stays.
      if (moves.has(path) && isDirectory(original)) {
        removed[index]?.add(path);
        continue;
      }
      place(path, { layer: index, entry: { ...original, path } });
    }
  });
  checkParents(occupied, layers);
  const added = missingFolders(layers, moves, removed);
  return {
    adjustments: removed.map((paths, index) => ({
      moves: movesOf(layers[index], moves),
      removed: [...paths].sort(),
      added: [...(added[index] ?? [])].sort(),
    })),
    get: (path) => occupied.get(path)?.entry.type,
  };

  function place(path: string, next: Occupant): void {
    const present = occupied.get(path);
    if (present === undefined) {
      occupied.set(path, next);
      return;
    }
    const nextIsDirectory = isDirectory(next.entry);
    if (isDirectory(present.entry) && nextIsDirectory) {
      mergeDirectories(path, present, next);
      return;
    }
    if (present.layer === next.layer) {
      throw new TreeConflictError(
        'TreeConflict',
        `${nameOf(layers, next.layer)} has two entries for ${shown(path)} once its links are followed`,
      );
    }
    for (const layer of [present.layer, ...(shared.get(path) ?? [])]) removed[layer]?.add(path);
    shared.delete(path);
    occupied.set(path, next);
  }

  function mergeDirectories(path: string, present: Occupant, next: Occupant): void {
    if (next.entry.type === 'implied') {
      if (next.layer !== present.layer) removed[next.layer]?.add(path);
      return;
    }
    if (next.layer !== present.layer) shared.set(path, [...(shared.get(path) ?? []), present.layer]);
    occupied.set(path, next);
  }
}

function isDirectory(entry: IndexEntry): boolean {
  return entry.type === 'directory' || entry.type === 'implied';
}

function nameOf(layers: readonly TreeLayer[], index: number): string {
  return layers[index]?.name ?? 'a tree';
}

/** Directories to be replaced by where a symlink of another layer at the same path leads. */
function findMoves(layers: readonly TreeLayer[]): ReadonlyMap<string, string> {
  const moves = new Map<string, string>();
  // What is moved may meet links where it arrives. Each round adds a move or is the last.
  for (;;) {
    const more = movesAmong(layers, moves);
    if (more.size === 0) return moves;
    for (const [from, to] of more) moves.set(from, to);
  }
}

function movesAmong(
  layers: readonly TreeLayer[],
  known: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const links = new Map<string, { readonly target: string; readonly layer: number }>();
  const directories = new Map<string, number>();
  const filled = new Set<string>();
  layers.forEach((layer, index) => {
    for (const { path: original, type, target } of layer.entries) {
      const path = moved(original, known);
      const parent = parentOf(path);
      if (parent !== undefined) filled.add(parent);
      if (type === 'symlink') links.set(path, { target: target ?? '', layer: index });
      else if (type === 'directory' || type === 'implied') directories.set(path, index);
      // A file that comes later takes the link's place.
      else links.delete(path);
    }
  });
  const moves = new Map<string, string>();
  for (const [path, { layer }] of links) {
    const directoryLayer = directories.get(path);
    if (directoryLayer === undefined || known.has(path)) continue;
    const to = resolve(path, links);
    if (to === undefined || !directories.has(to) || to === path || to.startsWith(`${path}/`)) continue;
    // An empty directory below the link simply gives way to it.
    if (filled.has(path) || directoryLayer > layer) moves.set(path, to);
  }
  return moves;
}

/** Where the symlink at `path` leads, all links on the way followed; undefined when it leads in a circle or to the root. */
function resolve(path: string, links: ReadonlyMap<string, { readonly target: string }>): string | undefined {
  let pending = path.split('/').reverse();
  let at: string[] = [];
  let followed = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      at.pop();
      continue;
    }
    const link = links.get([...at, name].join('/'));
    if (link === undefined) {
      at.push(name);
      continue;
    }
    followed += 1;
    if (followed > MAX_LINKS) return undefined;
    if (link.target.startsWith('/')) at = [];
    pending = [...pending, ...link.target.split('/').reverse()];
  }
  return at.length === 0 ? undefined : at.join('/');
}

/** Where an entry goes that lies in folders which are moved. */
export function moved(path: string, moves: ReadonlyMap<string, string>): string {
  let current = path;
  for (let followed = 0; followed <= MAX_LINKS; followed += 1) {
    const from = movedFolder(current, moves);
    if (from === undefined) return current;
    current = `${moves.get(from)}${current.slice(from.length)}`;
  }
  throw new TreeConflictError('TreeConflict', `the symlinks on the way to ${shown(path)} never end`);
}

/** The outermost folder of a path that is moved. */
function movedFolder(path: string, moves: ReadonlyMap<string, string>): string | undefined {
  if (moves.size === 0) return undefined;
  for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
    const folder = path.slice(0, slash);
    if (moves.has(folder)) return folder;
  }
  return undefined;
}

/** Those moves that concern a layer, so that its cached member does not depend on the others. */
function movesOf(layer: TreeLayer | undefined, moves: ReadonlyMap<string, string>): Adjustment['moves'] {
  if (layer === undefined || moves.size === 0) return [];
  const concerned = new Set<string>();
  for (const { path } of layer.entries) {
    for (let current = path; ; ) {
      const from = movedFolder(current, moves);
      if (from === undefined) break;
      concerned.add(from);
      current = `${moves.get(from)}${current.slice(from.length)}`;
    }
  }
  return [...concerned].sort().map((from) => ({ from, to: moves.get(from) ?? from }));
}

/** For each layer the folders of its entries that neither it nor one below it has. */
function missingFolders(
  layers: readonly TreeLayer[],
  moves: ReadonlyMap<string, string>,
  removed: readonly ReadonlySet<string>[],
): readonly ReadonlySet<string>[] {
  const present = new Set<string>();
  return layers.map(({ entries }, index) => {
    const kept = entries
      .map((entry) => ({ ...entry, path: moved(entry.path, moves) }))
      .filter(({ path }) => removed[index]?.has(path) !== true);
    for (const entry of kept) if (isDirectory(entry)) present.add(entry.path);
    const missing = new Set<string>();
    for (const { path } of kept) {
      for (
        let folder = parentOf(path);
        folder !== undefined && !present.has(folder);
        folder = parentOf(folder)
      ) {
        missing.add(folder);
        present.add(folder);
      }
    }
    return missing;
  });
}

function checkParents(occupied: ReadonlyMap<string, Occupant>, layers: readonly TreeLayer[]): void {
  for (const [path, { layer }] of occupied) {
    const parent = parentOf(path);
    if (parent === undefined) continue;
    const above = occupied.get(parent);
    if (above === undefined || isDirectory(above.entry)) continue;
    throw new TreeConflictError(
      'TreeConflict',
      `${shown(path)} of ${nameOf(layers, layer)} would be lost: ${shown(parent)} is a ${above.entry.type} ` +
        `that ${nameOf(layers, above.layer)} puts in the place of a directory`,
    );
  }
}
