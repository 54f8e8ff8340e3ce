import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';

/**
 * The SHA-256 of a stored file, kept beside it so that asking for it does not read the file.
 *
 * File and sidecar cannot be written in one step. A sidecar therefore says which file it speaks of
 * (inode, size and modification time); one that speaks of another file is ignored, and the sum is
 * taken anew. It can be lost or stale, but not wrong.
 */
export function sidecarPath(file: string): string {
  return join(dirname(file), `.${basename(file)}.sha256`);
}

export async function writeSidecar(file: string, stats: Stats, sha256: string): Promise<void> {
  const path = sidecarPath(file);
  const temporary = `${dirname(path)}/.${randomUUID().slice(0, 8)}`;
  await writeFile(temporary, `${sha256} ${identityOf(stats)}\n`, { flag: 'wx' });
  try {
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** The recorded sum if it speaks of exactly this file. */
export async function readSidecar(file: string, stats: Stats): Promise<string | undefined> {
  const text = await readFile(sidecarPath(file), 'utf8').catch(() => '');
  const [sha256, ...identity] = text.trim().split(' ');
  if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  return identity.join(' ') === identityOf(stats) ? sha256 : undefined;
}

/** File systems may count time in ticks of some milliseconds; so many times, a millisecond apart, a later one is tried for. */
const MOST_TICKS = 25;

/**
 * Whether the file was not touched since its sidecar was written: not only that somebody says so. Whoever
 * writes to a file, renames it or sets its times gives it a time of change, which nobody can set. One
 * that is earlier than the sidecar's, by the same clock, is of before.
 */
export async function isDated(file: string): Promise<boolean> {
  const [changed, recorded] = await Promise.all([changedNs(file), changedNs(sidecarPath(file))]);
  return changed !== undefined && recorded !== undefined && changed < recorded;
}

/** Makes the sidecar's time of change later than the file's. Where that fails the file is summed when it is read. */
export async function dateSidecar(file: string): Promise<void> {
  const path = sidecarPath(file);
  for (let tries = 0; tries < MOST_TICKS && !(await isDated(file)); tries += 1) {
    await setTimeout(1);
    const now = new Date();
    await utimes(path, now, now).catch(() => undefined);
  }
}

async function changedNs(path: string): Promise<bigint | undefined> {
  return (await stat(path, { bigint: true }).catch(() => undefined))?.ctimeNs;
}

/** SHA-256 of the file's bytes, 64 hex digits. */
export async function sumOf(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash, { signal });
  return hash.digest('hex');
}

function identityOf(stats: Stats): string {
  return `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
}
