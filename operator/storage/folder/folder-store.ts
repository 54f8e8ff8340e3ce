import { randomUUID } from 'node:crypto';
import { createWriteStream, type Stats } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../../errors.ts';
import { checkedKey, checkedPrefix } from '../key.ts';
import {
  type LocalFile,
  type ObjectInfo,
  type ObjectSource,
  type ObjectStore,
  type ReadOptions,
  StorageError,
} from '../store.ts';
import { VerifiedStream } from '../verified-stream.ts';
import { dateSidecar, isDated, readSidecar, sidecarPath, sumOf, writeSidecar } from './sidecar.ts';

/** Where transfers under way are kept: on the same file system, so that `link` works; no key begins with a dot. */
const INCOMING = '.incoming';
/** A folder emptied by `delete` may be removed between `mkdir` and `link`. */
const LINK_ATTEMPTS = 5;
/** A transfer that is this old was interrupted: no build runs as long. */
const ABANDONED_MS = 24 * 3_600_000;

/**
 * Objects as files below a folder, in the layout of the bucket. For builds without a cluster, and
 * for the cache of the command line.
 *
 * An object appears whole or not at all: bytes go to a file of their own and are linked into place,
 * and `link` refuses a name that is taken.
 */
export class FolderStore implements ObjectStore {
  readonly #root: string;
  #swept: Promise<void> | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  async head(key: string, options: { readonly signal: AbortSignal }): Promise<ObjectInfo | undefined> {
    options.signal.throwIfAborted();
    const path = this.#path(key);
    const stats = await statFile(path);
    if (stats === undefined) return undefined;
    const recorded = await readSidecar(path, stats);
    if (recorded !== undefined) return infoOf(key, stats, recorded);
    const sha256 = await sumOf(path, options.signal);
    // A store on a read-only file system still answers; it only takes the sum again next time.
    await writeSidecar(path, stats, sha256).catch(() => {});
    return infoOf(key, stats, sha256);
  }

  async get(
    key: string,
    options: ReadOptions,
  ): Promise<{ readonly info: ObjectInfo; readonly body: Readable }> {
    options.signal.throwIfAborted();
    const path = this.#path(key);
    const handle = await openFile(path, key);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw notFound(key);
      const sha256 = await readSidecar(path, stats);
      const info = infoOf(key, stats, sha256);
      const { range } = options;
      if (range === undefined) {
        const file = addAbortSignal(options.signal, handle.createReadStream());
        return { info, body: sha256 === undefined ? file : verified(file, { size: info.size, sha256 }, key) };
      }
      if (range.first > range.last || range.last >= stats.size) {
        throw new RangeError(`object ${key} has ${stats.size} bytes, asked for ${range.first}-${range.last}`);
      }
      const file = handle.createReadStream({ start: range.first, end: range.last });
      return { info, body: addAbortSignal(options.signal, file) };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async localFile(key: string): Promise<LocalFile | undefined> {
    const path = this.#path(key);
    const stats = await statFile(path);
    if (stats === undefined) return undefined;
    const sha256 = (await isDated(path)) ? await readSidecar(path, stats) : undefined;
    const confirm = async (sum: string): Promise<void> => {
      const now = await statFile(path);
      // Of a file that was touched while it was read nothing is known.
      if (now?.ino !== stats.ino || now.ctimeMs !== stats.ctimeMs) return;
      await recordSum(path, stats, sum);
    };
    return { path, ...(sha256 === undefined ? {} : { sha256 }), confirm };
  }

  async put(
    key: string,
    source: ObjectSource,
    options: { readonly signal: AbortSignal },
  ): Promise<'created' | 'exists'> {
    const path = this.#path(key);
    const present = await this.head(key, options);
    if (present !== undefined) return agreeing(key, present, source);

    const incoming = join(this.#root, INCOMING, randomUUID());
    await mkdir(dirname(incoming), { recursive: true });
    this.#swept ??= sweep(dirname(incoming));
    await this.#swept;
    try {
      if (!(await linked(source, incoming))) {
        await pipeline(
          source.open(),
          new VerifiedStream(source, `object ${key}`),
          createWriteStream(incoming, { flags: 'wx', flush: true }),
          { signal: options.signal },
        );
      }
      if (!(await linkNew(incoming, path, key))) {
        const winner = await this.head(key, options);
        if (winner === undefined)
          throw new StorageError('StorageUnavailable', `object ${key} was removed while it was written`);
        return agreeing(key, winner, source);
      }
      // That it has one name less changes the file's time of change: before the sidecar is written.
      await rm(incoming, { force: true });
      const stats = await statFile(path);
      if (stats !== undefined) await recordSum(path, stats, source.sha256);
      return 'created';
    } catch (error) {
      options.signal.throwIfAborted();
      throw storageErrorOf(error, key);
    } finally {
      await rm(incoming, { force: true });
    }
  }

  async *list(prefix: string, options: { readonly signal: AbortSignal }): AsyncIterable<ObjectInfo> {
    checkedPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    for await (const key of this.#walk(folder, options.signal)) {
      if (!key.startsWith(prefix)) continue;
      const stats = await statFile(join(this.#root, key));
      if (stats !== undefined) yield infoOf(key, stats, undefined);
    }
  }

  async delete(keys: readonly string[], options: { readonly signal: AbortSignal }): Promise<void> {
    for (const path of keys.map((key) => this.#path(key))) {
      options.signal.throwIfAborted();
      if ((await statFile(path)) === undefined) continue;
      await rm(path, { force: true });
      await rm(sidecarPath(path), { force: true });
      await this.#pruneUpwards(dirname(path));
    }
  }

  /** Keys below `folder` (empty or ending in a slash) in the order of their bytes, as S3 lists them. */
  async *#walk(folder: string, signal: AbortSignal): AsyncIterable<string> {
    signal.throwIfAborted();
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(
      (error: unknown) => {
        if (isAbsence(error)) return [];
        throw storageErrorOf(error, folder);
      },
    );
    const names = entries
      .filter((entry) => !entry.name.startsWith('.') && (entry.isFile() || entry.isDirectory()))
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
      .sort((left, right) => (left < right ? -1 : 1));
    for (const name of names) {
      if (name.endsWith('/')) yield* this.#walk(folder + name, signal);
      else yield folder + name;
    }
  }

  async #pruneUpwards(folder: string): Promise<void> {
    for (let at = folder; at !== this.#root && at.startsWith(`${this.#root}/`); at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        return;
      }
    }
  }

  #path(key: string): string {
    return join(this.#root, checkedKey(key));
  }
}

/** Removes what transfers left that were killed. Once a store, and never a reason for a put to fail. */
async function sweep(incoming: string): Promise<void> {
  for (const name of await readdir(incoming).catch(() => [])) {
    const path = join(incoming, name);
    const stats = await statFile(path).catch(() => undefined);
    if (stats !== undefined && Date.now() - stats.mtimeMs > ABANDONED_MS)
      await rm(path, { force: true }).catch(() => {});
  }
}

function infoOf(key: string, stats: Stats, sha256: string | undefined): ObjectInfo {
  return { key, size: stats.size, modified: stats.mtime, ...(sha256 === undefined ? {} : { sha256 }) };
}

function agreeing(key: string, present: ObjectInfo, source: ObjectSource): 'exists' {
  if (present.sha256 === source.sha256 && present.size === source.size) return 'exists';
  throw new StorageError(
    'ObjectConflict',
    `object ${key} exists with SHA-256 ${present.sha256}, not ${source.sha256}`,
  );
}

function verified(
  file: Readable,
  expected: { readonly size: number; readonly sha256: string },
  key: string,
): Readable {
  const checking = new VerifiedStream(expected, `object ${key}`);
  // The pipeline's outcome is the stream's own: its reader sees the error, and destroying it closes the file.
  pipeline(file, checking).catch(() => {});
  return checking;
}

/** A sidecar is a convenience: where none can be written the file is summed again. */
async function recordSum(path: string, stats: Stats, sha256: string): Promise<void> {
  await writeSidecar(path, stats, sha256).then(
    () => dateSidecar(path),
    () => {},
  );
}

/** Whether the source's own file could be given another name. It cannot on another file system, for one. */
async function linked({ linkable }: ObjectSource, to: string): Promise<boolean> {
  if (linkable === undefined) return false;
  try {
    await link(linkable, to);
    return true;
  } catch {
    return false;
  }
}

/** Gives `from` the name `to` as well. False when `to` is taken. */
async function linkNew(from: string, to: string, key: string): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await mkdir(dirname(to), { recursive: true });
      await link(from, to);
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOENT' && attempt < LINK_ATTEMPTS) continue;
      if (code !== 'EEXIST') throw error;
      // A file where a folder is needed, or the other way round, is no object that could be compared.
      if ((await statFile(to)) !== undefined) return false;
      throw new StorageError(
        'ObjectConflict',
        `object ${key}: its name is taken by a folder, or a part of it by an object`,
      );
    }
  }
}

async function statFile(path: string): Promise<Stats | undefined> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (isAbsence(error)) return undefined;
    throw error;
  });
  return stats?.isFile() === true ? stats : undefined;
}

async function openFile(path: string, key: string): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (error) {
    throw isAbsence(error) ? notFound(key) : storageErrorOf(error, key);
  }
}

function notFound(key: string): StorageError {
  return new StorageError('ObjectNotFound', `object ${key} does not exist`);
}

function storageErrorOf(error: unknown, key: string): unknown {
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new StorageError('StorageDenied', `object ${key}: ${messageOf(error)}`, { cause: error });
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EIO':
    case 'EMFILE':
      return new StorageError('StorageUnavailable', `object ${key}: ${messageOf(error)}`, { cause: error });
    case 'ENOTDIR':
      return new StorageError('ObjectConflict', `object ${key}: a part of its name is taken by an object`, {
        cause: error,
      });
    default:
      return error;
  }
}

function isAbsence(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
