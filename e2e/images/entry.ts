import { ImageError } from './image-error.ts';

/**
 * Where a file's bytes come from: text or bytes at hand, a path on disk, or a stream whose
 * size in bytes is known beforehand (a tar header carries the size).
 */
export type Content =
  | string
  | Uint8Array
  | { readonly disk: string }
  | { readonly size: number; readonly stream: () => AsyncIterable<Uint8Array> };

interface Owned {
  /** Relative to the image's root, without `./` in front. Written as it is, however hostile. */
  readonly path: string;
  /** Permission bits; 0644 for files without it, 0755 for directories, 0777 for symbolic links. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Whole seconds since 1970; {@link DEFAULT_MTIME} without it. */
  readonly mtime?: number;
  /** Extended attributes by name. */
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
}

/** One entry of a layer's tar. */
export type Entry =
  | (Owned & { readonly type: 'file'; readonly content: Content })
  | (Owned & { readonly type: 'directory' })
  | (Owned & { readonly type: 'symlink'; readonly target: string })
  /** `target` is the path of an earlier entry, from the image's root. */
  | (Owned & { readonly type: 'hardlink'; readonly target: string })
  | (Owned & { readonly type: 'character' | 'block'; readonly major: number; readonly minor: number })
  | (Owned & { readonly type: 'fifo' });

/** 2020-01-01T00:00:00Z. Fixed, so that the same inputs give the same digests. */
export const DEFAULT_MTIME = 1_577_836_800;

export function file(path: string, content: Content, mode = 0o644): Entry {
  return { type: 'file', path, content, mode };
}

/** An executable file, mode 0755. */
export function program(path: string, content: Content): Entry {
  return { type: 'file', path, content, mode: 0o755 };
}

export function directory(path: string, mode = 0o755): Entry {
  return { type: 'directory', path, mode };
}

export function symlink(path: string, target: string): Entry {
  return { type: 'symlink', path, target };
}

/**
 * The entries with every missing parent directory (0755, root) put in front of its first
 * child, and the last of several entries for one path kept in the place of the first.
 * Throws `InvalidEntry` for an absolute path or one with `.`, `..` or empty parts.
 */
export function withParents(entries: readonly Entry[]): readonly Entry[] {
  const byPath = new Map<string, Entry>();
  for (const entry of entries) {
    const parts = entry.path.split('/');
    if (parts.some((part) => part === '' || part === '.' || part === '..')) {
      throw new ImageError(
        'InvalidEntry',
        `entry ${JSON.stringify(entry.path)} is not a plain relative path`,
      );
    }
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join('/');
      if (!byPath.has(parent)) byPath.set(parent, directory(parent));
    }
    byPath.set(entry.path, entry);
  }
  return [...byPath.values()];
}
