import { lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Entry } from '../images/entry.ts';
import { Failure } from '../progress/failure.ts';

/** Larger files are left out: a single one would be half of an image. In bytes. */
const LARGEST_FILE = 16 * 1024 * 1024;

/**
 * Where the files of the sets come from, in this order: what any machine has that this project
 * runs on, then what larger ones have. Not what changes while nobody installs anything.
 */
async function sources(): Promise<readonly string[]> {
  const go = ['/usr/local/go', '/usr/lib/go'];
  const node = dirname(dirname(await realpath(process.execPath)));
  return [...go, node, '/usr/bin', '/usr/lib', '/usr/share', '/usr/sbin', '/usr/local/lib', '/opt'];
}

interface PooledFile {
  readonly entry: Entry;
  readonly size: number;
}

/** The machine's files in the order of their paths, handed out slice by slice: each once. */
export class FilePool {
  readonly #files: AsyncGenerator<PooledFile, void, undefined>;

  constructor() {
    this.#files = pooled();
  }

  /** Entries of about that many bytes of files, at their paths on this machine. Throws a `Failure` when there are no more. */
  async slice(bytes: number): Promise<readonly Entry[]> {
    const entries: Entry[] = [];
    for (let size = 0; size < bytes; ) {
      const next = await this.#files.next();
      if (next.done === true) {
        throw new Failure(
          'ToolMissing',
          `this machine has not enough files for the set: ${bytes - size} bytes are missing`,
          {
            advice: 'install more packages, any will do; or measure the smaller set with --set mid',
          },
        );
      }
      entries.push(next.value.entry);
      size += next.value.size;
    }
    return entries;
  }
}

async function* pooled(): AsyncGenerator<PooledFile, void, undefined> {
  const seen = new Set<string>();
  for (const source of await sources()) yield* filesBelow(source, seen);
}

async function* filesBelow(folder: string, seen: Set<string>): AsyncGenerator<PooledFile, void, undefined> {
  if (seen.has(folder)) return;
  seen.add(folder);
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names.sort()) {
    const path = join(folder, name);
    const stats = await lstat(path);
    const place = path.slice(1);
    const mode = stats.mode & 0o7777;
    if (stats.isDirectory()) yield* filesBelow(path, seen);
    else if (stats.isSymbolicLink())
      yield { entry: { type: 'symlink', path: place, target: await readlink(path) }, size: 0 };
    else if (stats.isFile() && stats.size <= LARGEST_FILE)
      yield { entry: { type: 'file', path: place, mode, content: { disk: path } }, size: stats.size };
  }
}
