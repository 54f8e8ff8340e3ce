import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { CodedError } from '../errors.ts';
import type { Entry } from '../initramfs/entry.ts';
import type { ByteSum } from '../initramfs/member.ts';
import { BUILD_TIME } from '../linuxkit/constants.ts';
import { ancestors, directory, type PlannedEntry, type PlannedSourceFile } from '../linuxkit/entries.ts';
import { type GeneratedEntry, plannedEntry } from './generated.ts';
import { copyToFile, type WorkFile } from './work-file.ts';

/** A file that comes with the build besides the configuration: a key of a ConfigMap or Secret. */
export interface AddedFile {
  /** In the image, relative to its root. */
  readonly path: string;
  readonly mode: number;
  /** On the machine that builds. */
  readonly source: string;
}

/** Why a file cannot be added. */
export class AddedFileError extends CodedError<'SourceMissing' | 'SourceUnsupported'> {}

/** What the user adds, and the sums of what was read from the machine that builds. */
export interface AddedFiles {
  readonly entries: readonly GeneratedEntry[];
  readonly sums: readonly { readonly path: string; readonly mode: number; readonly sum: ByteSum }[];
}

/**
 * Reads the files of the configuration and those that come with the build, which are last. Sources are
 * copied to `folder` first: what is summed is what is written, whatever happens to the source.
 */
export async function readAddedFiles(
  planned: readonly PlannedEntry[],
  added: readonly AddedFile[],
  options: { readonly folder: string; readonly signal: AbortSignal },
): Promise<AddedFiles> {
  const entries: GeneratedEntry[] = [];
  const sums: { path: string; mode: number; sum: ByteSum }[] = [];
  const all = [...planned, ...added.flatMap(plannedAddition)];
  for (const entry of all) {
    if (entry.type !== 'source') {
      entries.push({ entry: plannedEntry(entry), implied: entry.type === 'directory' && entry.implied });
      continue;
    }
    const copy = await copySource(entry, join(options.folder, `source-${entries.length}`), options.signal);
    if (copy === undefined) continue;
    entries.push({ entry: sourceEntry(entry, copy), implied: false });
    sums.push({ path: entry.path, mode: entry.mode, sum: { size: copy.size, sha256: copy.sha256 } });
  }
  return { entries, sums };
}

function plannedAddition({ path, mode, source }: AddedFile): readonly PlannedEntry[] {
  const plain = path.replace(/^\//, '');
  const file = {
    type: 'source',
    path: plain,
    mode,
    uid: 0,
    gid: 0,
    mtime: BUILD_TIME,
    source,
    optional: false,
  } as const;
  return [...ancestors(plain).map((folder) => directory(folder, 0o755, true)), file];
}

function sourceEntry(entry: PlannedSourceFile, copy: WorkFile): Entry {
  const { path, mode, uid, gid, mtime } = entry;
  const content = { [Symbol.asyncIterator]: () => readAll(copy) };
  return { type: 'file', path, mode, uid, gid, mtime, size: copy.size, content };
}

async function* readAll(copy: WorkFile): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of createReadStream(copy.path)) yield chunk as Buffer;
}

/** A copy of the source; undefined when it is optional and not there. Throws {@link AddedFileError}. */
async function copySource(
  { path, source, optional }: PlannedSourceFile,
  to: string,
  signal: AbortSignal,
): Promise<WorkFile | undefined> {
  const from = source.startsWith('~/') ? join(homedir(), source.slice(2)) : resolve(source);
  const stats = await stat(from).catch(() => undefined);
  if (stats === undefined) {
    if (optional) return undefined;
    throw new AddedFileError(
      'SourceMissing',
      `file ${path}: its source ${source} does not exist or cannot be read`,
    );
  }
  if (!stats.isFile()) {
    throw new AddedFileError('SourceUnsupported', `file ${path}: its source ${source} is not a regular file`);
  }
  return copyToFile(to, createReadStream(from), signal);
}
