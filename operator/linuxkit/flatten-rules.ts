import { BUILD_TIME, HOSTS, MTAB_LINK, RESOLV_CONF, RESOLV_CONF_LINK } from './constants.ts';
import { directory, file, type PlannedEntry, type PlannedFile, type PlannedSymlink } from './entries.ts';

/**
 * How LinuxKit takes over the files of an image: what it leaves out, what it replaces, and
 * what it adds. The same for all kinds of image but for `etc/resolv.conf`.
 */

export type FlattenKind = 'kernel' | 'init' | 'volume' | 'bundle';

/** What becomes of one entry of an image, by its path. */
export type FlattenAction =
  /** Copied as it is. */
  | { readonly action: 'keep' }
  /** Copied, but with {@link BUILD_TIME}. */
  | { readonly action: 'touch' }
  /** Left out. What is below a directory is not. */
  | { readonly action: 'drop' }
  /** Left out, since {@link addedEntries} has an entry for the same path. */
  | { readonly action: 'replace' };

/** Present in any container that Docker started once, but of no meaning in a machine. */
const DROPPED: ReadonlySet<string> = new Set(['.dockerenv', 'Dockerfile', 'dev/console', 'etc/hostname']);

/** Always made anew, see {@link addedEntries}. */
const REPLACED: ReadonlySet<string> = new Set([
  'dev',
  'dev/pts',
  'dev/shm',
  'etc',
  'etc/hosts',
  'etc/resolv.conf',
  'proc',
  'sys',
]);

const KEEP: FlattenAction = { action: 'keep' };
const TOUCH: FlattenAction = { action: 'touch' };
const DROP: FlattenAction = { action: 'drop' };
const REPLACE: FlattenAction = { action: 'replace' };

/** `path` is relative to the image's root, without `./` and without slashes at its ends. */
export function flattenAction(path: string): FlattenAction {
  if (DROPPED.has(path)) return DROP;
  if (REPLACED.has(path)) return REPLACE;
  return path === 'etc/mtab' ? TOUCH : KEEP;
}

/**
 * What every image has after flattening, whatever it had before; paths relative to its root.
 * LinuxKit writes these after all of the image's own entries, and the last one wins when the
 * archive is unpacked: so they are the only ones for their paths here.
 */
export function addedEntries(
  kind: FlattenKind,
  image: { has(path: string): boolean },
): readonly PlannedEntry[] {
  const mtab: PlannedSymlink = symlink('etc/mtab', 0o755, MTAB_LINK);
  return [
    directory('dev'),
    directory('dev/pts'),
    directory('dev/shm'),
    directory('etc'),
    file('etc/hosts', HOSTS),
    ...(image.has('etc/mtab') ? [] : [mtab]),
    resolvConf(kind),
    directory('proc'),
    directory('sys'),
  ];
}

/** In the root file system and in volumes it must be writable, so it leads to where the machine keeps its own. */
function resolvConf(kind: FlattenKind): PlannedFile | PlannedSymlink {
  return kind === 'init' || kind === 'volume'
    ? symlink('etc/resolv.conf', 0o644, RESOLV_CONF_LINK)
    : file('etc/resolv.conf', RESOLV_CONF);
}

function symlink(path: string, mode: number, target: string): PlannedSymlink {
  return { type: 'symlink', path, mode, uid: 0, gid: 0, mtime: BUILD_TIME, target };
}
