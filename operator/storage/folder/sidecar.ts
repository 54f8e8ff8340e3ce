import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

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

/** SHA-256 of the file's bytes, 64 hex digits. */
export async function sumOf(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash, { signal });
  return hash.digest('hex');
}

function identityOf(stats: Stats): string {
  return `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
}
