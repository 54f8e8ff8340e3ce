import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { EVIDENCE_FILES } from '../build/evidence/evidence.ts';
import type { BuildResult } from '../build/pipeline.ts';
import type { BuildRecord } from '../build/record.ts';
import { CodedError } from '../errors.ts';
import { isDigest } from '../oci/types.ts';
import { parseBuildRecord } from '../storage/build-record.ts';

export class OutputFolderError extends CodedError<'OutputUnusable'> {}

/** In this order they appear in the folder; the record is last and marks the result complete. */
const FILES = ['kernel', 'initrd.img', 'cmdline', 'sbom.spdx.json', 'provenance.json', 'build.json'] as const;

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
    const record = await readRecord(join(this.#path, 'build.json'));
    if (record?.inputsHash !== inputsHash) return undefined;
    for (const name of FILES) {
      if (name === 'build.json') continue;
      const sum = record.files[name];
      if (sum === undefined || !(await holds(join(this.#path, name), sum.size, sum.sha256))) return undefined;
    }
    return record;
  }

  /** Moves the result in place. */
  async accept({ record, files }: BuildResult): Promise<void> {
    if (files === undefined) return;
    const staging = join(this.work, 'result');
    await mkdir(staging);
    for (const name of ['kernel', 'initrd.img', ...EVIDENCE_FILES] as const)
      await rename(files[name].path, join(staging, name));
    await writeFile(join(staging, 'cmdline'), record.cmdline);
    await writeFile(join(staging, 'build.json'), `${JSON.stringify(record, null, 2)}\n`);
    try {
      await rename(staging, this.#path);
    } catch (error) {
      // It is there and holds something; other files in it are none of ours.
      if (!hasCode(error, ['ENOTEMPTY', 'EEXIST'])) throw error;
      await rm(join(this.#path, 'build.json'), { force: true });
      for (const name of FILES) await rename(join(staging, name), join(this.#path, name));
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

async function holds(path: string, size: number, sha256: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.size !== size) return false;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex') === sha256;
}

function hasCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
