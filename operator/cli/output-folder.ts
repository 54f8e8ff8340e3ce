import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import type { BuildResult } from '../build/pipeline.ts';
import type { BuildRecord } from '../build/record.ts';
import { EVIDENCE_FILES, TAR_FILES } from '../build/result-files.ts';
import type { TarResult } from '../build/tar/build-tar.ts';
import { CodedError } from '../errors.ts';
import { isDigest } from '../oci/types.ts';
import { parseBuildRecord } from '../storage/build-record.ts';

export class OutputFolderError extends CodedError<'OutputUnusable'> {}

/** In this order they appear in the folder; the record is last and marks the result complete. */
const FILES = ['kernel', 'initrd.img', 'cmdline', 'sbom.spdx.json', 'provenance.json', 'build.json'] as const;

/** Tries, a millisecond apart, to get a later time; without one the files are summed when they are looked at. */
const MOST_TICKS = 50;

/**
 * The folder that a build on the command line writes to. Everything is made in a folder beside it and
 * moved at the end, so a build that fails leaves the folder as it was.
 */
export class OutputFolder implements AsyncDisposable {
  readonly #path: string;
  /** For the build's own use: on the same file system. */
  readonly work: string;

  private constructor(path: string, work: string) {
    this.#path = path;
    this.work = work;
  }

  /** Throws {@link OutputFolderError}. */
  static async open(path: string): Promise<OutputFolder> {
    const whole = resolve(path);
    const stats = await stat(whole).catch(() => undefined);
    if (stats !== undefined && !stats.isDirectory()) {
      throw new OutputFolderError(
        'OutputUnusable',
        `${path} exists and is no folder; name another one with --output`,
      );
    }
    try {
      await mkdir(dirname(whole), { recursive: true });
      return new OutputFolder(whole, await mkdtemp(join(dirname(whole), `.${basename(whole)}.`)));
    } catch (error) {
      throw new OutputFolderError('OutputUnusable', `cannot write beside ${path}`, { cause: error });
    }
  }

  /** The record of what is in the folder, if that came of the same inputs and is whole. */
  async find(inputsHash: string): Promise<BuildRecord | undefined> {
    const path = join(this.#path, 'build.json');
    const stats = await stat(path, { bigint: true }).catch(() => undefined);
    const record = await readRecord(path);
    if (stats === undefined || record?.inputsHash !== inputsHash) return undefined;
    for (const name of FILES) {
      if (name === 'build.json') continue;
      const sum = record.files[name];
      if (sum === undefined || !(await holds(join(this.#path, name), sum, stats.ctimeNs))) return undefined;
    }
    return record;
  }

  /**
   * Moves what was made in place, and takes away what an earlier build left there that this one has not made:
   * the folder never holds results of different builds.
   */
  async accept(made: {
    readonly result: BuildResult | undefined;
    readonly tar?: TarResult | undefined;
  }): Promise<void> {
    const { result, tar } = made;
    const staging = join(this.work, 'result');
    await mkdir(staging);
    const unchanged = result !== undefined && result.files === undefined;
    const names: string[] = [];
    if (result?.files !== undefined) {
      const { record, files } = result;
      for (const name of ['kernel', 'initrd.img', ...EVIDENCE_FILES] as const)
        await rename(files[name].path, join(staging, name));
      await writeFile(join(staging, 'cmdline'), record.cmdline);
      await writeFile(join(staging, 'build.json'), `${JSON.stringify(record, null, 2)}\n`);
      names.push(...FILES);
    }
    if (tar !== undefined) {
      for (const name of TAR_FILES) await rename(tar.files[name].path, join(staging, name));
      names.push(...TAR_FILES);
    }
    await this.#putInPlace(staging, names, unchanged ? FILES : []);
    if (result?.files !== undefined) await this.#date();
  }

  /** All of `names` from `staging`, and nothing of an earlier build but `kept`. */
  async #putInPlace(staging: string, names: readonly string[], kept: readonly string[]): Promise<void> {
    if (kept.length === 0) {
      try {
        await rename(staging, this.#path);
        return;
      } catch (error) {
        // It is there and holds something; other files in it are none of ours.
        if (!hasCode(error, ['ENOTEMPTY', 'EEXIST'])) throw error;
      }
    }
    await this.#putAside(kept);
    for (const name of names) await rename(join(staging, name), join(this.#path, name));
  }

  /**
   * Moves an earlier result out of the way, its record first. To rename over a file makes some file
   * systems write the new one to disk at once, which takes longer than all else here.
   */
  async #putAside(kept: readonly string[]): Promise<void> {
    const aside = join(this.work, 'earlier');
    await mkdir(aside);
    for (const name of [...FILES, ...TAR_FILES].reverse()) {
      if (kept.includes(name)) continue;
      await rename(join(this.#path, name), join(aside, name)).catch((error: unknown) => {
        if (!hasCode(error, ['ENOENT'])) throw error;
      });
    }
  }

  /**
   * Makes the record's time of change later than those of the files, so that `find` sees that they were not
   * touched since. File systems may count in ticks of some milliseconds: it is tried until one has passed.
   */
  async #date(): Promise<void> {
    const others = FILES.filter((name) => name !== 'build.json');
    const times = await Promise.all(others.map((name) => changed(join(this.#path, name))));
    const record = join(this.#path, 'build.json');
    for (let tries = 0; tries < MOST_TICKS && !((await changed(record)) > latest(times)); tries += 1) {
      if (tries > 0) await setTimeout(1);
      const now = new Date();
      await utimes(record, now, now);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.work, { recursive: true, force: true });
  }
}

async function readRecord(path: string): Promise<BuildRecord | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '{}');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('digest' in value)) return undefined;
    if (typeof value.digest !== 'string' || !isDigest(value.digest)) return undefined;
    const parsed = parseBuildRecord(text, value.digest);
    return 'record' in parsed ? parsed.record : undefined;
  } catch {
    return undefined;
  }
}

/** Time of the last change to a file or to what is known of it, in nanoseconds. */
async function changed(path: string): Promise<bigint> {
  return (await stat(path, { bigint: true })).ctimeNs;
}

function latest(times: readonly bigint[]): bigint {
  return times.reduce((most, time) => (time > most ? time : most), 0n);
}

/**
 * Whether a file is what its record says. The record was put in place last: a file that was written,
 * renamed or copied since has a later time of change, which nobody can set, and is summed again.
 */
async function holds(
  path: string,
  recorded: { readonly size: number; readonly sha256: string },
  recordedNs: bigint,
): Promise<boolean> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  if (stats?.size !== BigInt(recorded.size)) return false;
  if (stats.ctimeNs < recordedNs) return true;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex') === recorded.sha256;
}

function hasCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
