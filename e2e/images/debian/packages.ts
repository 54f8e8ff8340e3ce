import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { run } from '../../process/run.ts';
import { ImageError } from '../image-error.ts';
import { type PackageRecord, parseDepends, parseShow } from './package-list.ts';

/** Longest time for fetching packages, in milliseconds. */
const FETCH_DEADLINE = 600_000;

/** Binary packages of the Debian that this machine's apt knows, unpacked in a cache folder. */
export class DebianPackages {
  readonly #folder: string;
  readonly #signal: AbortSignal;
  readonly #records = new Map<string, PackageRecord>();
  #refreshed = false;

  /** `folder` keeps one folder a package version, in which it lies unpacked. */
  constructor(folder: string, signal: AbortSignal) {
    this.#folder = folder;
    this.#signal = signal;
  }

  /** Versions that apt would install. Throws `PackageUnavailable` naming what apt does not know. */
  async resolve(names: readonly string[]): Promise<readonly PackageRecord[]> {
    const unknown = (): string[] => names.filter((name) => !this.#records.has(name));
    if (unknown().length > 0) await this.#show(unknown());
    if (unknown().length > 0 && (await this.#refresh())) await this.#show(unknown());
    if (unknown().length > 0) {
      throw new ImageError(
        'PackageUnavailable',
        `apt knows no package ${unknown().join(', ')}; these images are made of Debian's packages`,
      );
    }
    return names.flatMap((name) => this.#records.get(name) ?? []);
  }

  /** The packages with everything they depend on. */
  async closure(names: readonly string[]): Promise<readonly string[]> {
    await this.resolve(names);
    const without = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'];
    const output = await this.#run('apt-cache', [
      'depends',
      '--recurse',
      ...without.map((relation) => `--no-${relation}`),
      ...names,
    ]);
    return parseDepends(output, names);
  }

  /** The folder in which the package lies unpacked; fetched when it is not there yet. */
  async unpack(name: string): Promise<string> {
    const [tree] = await this.unpackAll([name]);
    if (tree === undefined) throw new ImageError('PackageUnavailable', `apt knows no package ${name}`);
    return tree;
  }

  /** The same for many, in their order, with one question to the archive. */
  async unpackAll(names: readonly string[]): Promise<readonly string[]> {
    const records = await this.resolve(names);
    const missing: PackageRecord[] = [];
    for (const record of records) if (!(await exists(this.#treeOf(record)))) missing.push(record);
    if (missing.length > 0) await this.#fetch(missing);
    return records.map((record) => this.#treeOf(record));
  }

  #treeOf(record: PackageRecord): string {
    return join(this.#folder, `${record.name}_${record.version}_${record.architecture}`);
  }

  async #fetch(records: readonly PackageRecord[]): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const staging = await mkdtemp(join(this.#folder, '.fetch-'));
    try {
      await this.#download(records, staging);
      const archives = await readdir(staging);
      for (const record of records) {
        const archive = archives.find((name) => name.startsWith(`${record.name}_`) && name.endsWith('.deb'));
        if (archive === undefined) {
          throw new ImageError(
            'PackageUnavailable',
            `apt brought no file for ${record.name} ${record.version}`,
          );
        }
        await this.#extract(record, join(staging, archive), join(staging, `${record.name}.tree`));
      }
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }

  async #download(records: readonly PackageRecord[], staging: string): Promise<void> {
    const fetch = (): Promise<string> =>
      // As root, apt would drop to a user who may not write here.
      this.#run(
        'apt-get',
        [
          'download',
          '-q',
          '-o',
          'APT::Sandbox::User=root',
          ...records.map(({ name, version }) => `${name}=${version}`),
        ],
        staging,
      );
    try {
      await fetch();
    } catch (thrown) {
      // The archive drops superseded versions: stale lists name files that are gone.
      if (!(await this.#refresh())) throw thrown;
      await fetch();
    }
  }

  async #extract(record: PackageRecord, archive: string, tree: string): Promise<void> {
    const hash = createHash('sha256');
    await pipeline(createReadStream(archive), hash);
    const digest = hash.digest('hex');
    if (digest !== record.sha256) {
      throw new ImageError(
        'PackageUnavailable',
        `the file of ${record.name} has SHA-256 ${digest}, apt's lists say ${record.sha256}`,
      );
    }
    await this.#run('dpkg-deb', ['--extract', archive, tree]);
    const home = this.#treeOf(record);
    await rename(tree, home).catch(async (thrown: unknown) => {
      // Another process may have unpacked the same version meanwhile; its tree is as good.
      if (!(await exists(home))) throw thrown;
    });
  }

  async #show(names: readonly string[]): Promise<void> {
    // apt-cache exits 100 when one of several names is unknown, and prints the others.
    const output = await this.#run('sh', [
      '-c',
      'apt-cache show --no-all-versions "$@" 2>/dev/null || true',
      'sh',
      ...names,
    ]);
    for (const record of parseShow(output)) this.#records.set(record.name, record);
  }

  /** Fetches the package lists, once; false when that was done before. */
  async #refresh(): Promise<boolean> {
    if (this.#refreshed) return false;
    this.#refreshed = true;
    await this.#run('apt-get', ['update', '-q']);
    return true;
  }

  #run(command: string, args: readonly string[], cwd?: string): Promise<string> {
    return run(command, args, {
      env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
      timeout: FETCH_DEADLINE,
      signal: this.#signal,
      advice: 'component images are made of the packages of a Debian with its archive in reach',
      ...(cwd === undefined ? {} : { cwd }),
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
