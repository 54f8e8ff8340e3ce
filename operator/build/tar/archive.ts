import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import type { Sink } from '../../initramfs/archive.ts';
import { type ArrangedEntry, arrange } from '../../initramfs/arrange.ts';
import type { FileEntry } from '../../initramfs/entry.ts';
import { InitramfsError, shown } from '../../initramfs/error.ts';
import type { ByteSum } from '../../initramfs/member.ts';
import type { TarHeader } from '../../oci/tar/entry.ts';
import { formatTarHeader, TAR_BOUNDS, TAR_END, tarPadding } from '../../oci/tar/format.ts';
import { chunkBuffer } from '../file-chunks.ts';
import { adjust, indexOf } from '../image-tree.ts';
import { NO_ADJUSTMENT } from '../member.ts';
import { overlay } from '../overlay.ts';
import type { TarSection } from './sections.ts';

/** A section, and what its paths say of themselves where that is more than the section does. */
export interface LocatedSection extends TarSection {
  readonly locationOf?: (path: string) => string;
  /** The tool says nothing of its own document. */
  readonly anonymous?: boolean;
}

/**
 * Writes sections as one tar archive, parents first and hard links after what they name, and gives its sum.
 * Sections are laid over each other by the rules of an initrd: what a later one replaces is not in the
 * archive, and what would be lost on unpacking is refused. Only directories may appear more than once.
 */
export async function writeTar(
  sections: readonly LocatedSection[],
  signal: AbortSignal,
  sink: Sink,
): Promise<ByteSum> {
  const laid = overlay(sections.map((section) => ({ name: section.location, entries: indexOf(section) })));
  const isDirectory = (path: string): boolean => ['directory', 'implied'].includes(laid.get(path) ?? '');
  const hash = createHash('sha256');
  let size = 0;
  const write = async (bytes: Uint8Array): Promise<void> => {
    signal.throwIfAborted();
    hash.update(bytes);
    size += bytes.length;
    await sink(bytes);
  };
  for (const [index, section] of sections.entries()) {
    const adjusted = adjust(section.entries, laid.adjustments[index] ?? NO_ADJUSTMENT);
    const entries = arrange(adjusted, isDirectory, TAR_BOUNDS);
    for (const [at, entry] of entries.entries()) {
      const first = entry.hardLink?.first ?? at;
      const linkTo = first === at ? undefined : entries[first]?.path;
      const header = headerOf(entry, linkTo);
      await write(formatTarHeader(header, recordsOf(section, entry.path)));
      if (entry.type !== 'file' || linkTo !== undefined) continue;
      await writeContent(entry, write);
      await write(tarPadding(entry.size));
    }
  }
  await write(TAR_END);
  return { size, sha256: hash.digest('hex') };
}

function recordsOf(section: LocatedSection, path: string): Readonly<Record<string, string>> {
  if (section.anonymous === true) return {};
  const location = section.locationOf?.(path) ?? section.location;
  return {
    'LINUXKIT.location': location,
    ...(section.source === undefined ? {} : { 'LINUXKIT.source': section.source }),
  };
}

function headerOf(entry: ArrangedEntry, linkTo: string | undefined): TarHeader {
  const { path, mode, uid, gid, mtime, xattrs } = entry;
  const device = entry.type === 'character' || entry.type === 'block';
  return {
    path,
    mode,
    uid,
    gid,
    mtime,
    type: linkTo === undefined ? entry.type : 'hardlink',
    size: entry.type === 'file' && linkTo === undefined ? entry.size : 0,
    linkTarget: linkTo ?? (entry.type === 'symlink' ? entry.target : ''),
    devMajor: device ? entry.major : 0,
    devMinor: device ? entry.minor : 0,
    ...(xattrs === undefined || linkTo !== undefined ? {} : { xattrs }),
  };
}

async function writeContent({ path, size, content }: FileEntry, write: Sink): Promise<void> {
  let written = 0;
  const chunks = 'descriptor' in content ? rangeChunks(content.descriptor, content.offset, size) : content;
  for await (const bytes of chunks) {
    written += bytes.length;
    if (written > size) break;
    await write(bytes);
  }
  if (written === size) return;
  const delivered = written > size ? 'more' : `${written}`;
  throw new InitramfsError('ContentChanged', `${shown(path)} has ${size} bytes, but ${delivered} were read`);
}

/** Part of an open file. Its bytes were written a moment ago: they are in memory. */
function* rangeChunks(descriptor: number, offset: number, size: number): Generator<Uint8Array> {
  const buffer = chunkBuffer();
  for (let done = 0; done < size; ) {
    const read = readSync(descriptor, buffer, 0, Math.min(buffer.length, size - done), offset + done);
    if (read === 0) return;
    yield buffer.subarray(0, read);
    done += read;
  }
}
