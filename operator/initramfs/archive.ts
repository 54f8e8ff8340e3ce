import { readSync } from 'node:fs';
import { freeBuffer } from '../buffer.ts';
import type { ArrangedEntry } from './arrange.ts';
import { representableTime } from './arrange.ts';
import type { FileEntry } from './entry.ts';
import { InitramfsError, shown } from './error.ts';
import type { Header } from './newc.ts';
import { align4, FILE_TYPE, HEADER_SIZE, recordSize, TRAILER, writeHeader } from './newc.ts';

/**
 * A device number that makes the inode numbers of a member its own. The kernel takes files of
 * equal (inode, device) for hard links of each other until it meets a trailer, across members too.
 */
export interface MemberDevice {
  readonly major: number;
  readonly minor: number;
}

export interface ArchiveOptions {
  readonly device: MemberDevice;
  /** Whether the end mark is written: once in an initramfs, since other tools than the kernel stop there. */
  readonly trailer: boolean;
  /** Whether an archive up to {@link WHOLE_SIZE} is handed on in one piece. */
  readonly whole?: boolean;
  readonly signal: AbortSignal;
}

/** Takes the next bytes of a stream. They may be overwritten as soon as the promise settles. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

/** Bytes handed on at a time, of an archive that is not handed on whole. */
export const CHUNK_SIZE = 1024 * 1024;
/** Largest archive, in bytes, that is put together in memory and handed on in one piece. */
export const WHOLE_SIZE = 8 * 1024 * 1024;

/** A run of an arranged list: what one archive holds of it. */
export interface EntryRun {
  readonly entries: readonly ArrangedEntry[];
  /** Where in the list the run begins: inodes are numbered through the whole of it. */
  readonly first: number;
  /** Bytes of the archive without its trailer. */
  readonly size: number;
}

/**
 * Divides an arranged list into runs of about `target` bytes, a file that is larger alone, so that
 * they can be compressed at the same time. Always the same for the same list; never empty.
 */
export function divide(entries: readonly ArrangedEntry[], target: number): readonly EntryRun[] {
  const runs: EntryRun[] = [];
  let first = 0;
  let size = 0;
  entries.forEach((entry, index) => {
    const record = recordSize(Buffer.byteLength(entry.path), dataSize(entry, index));
    if (size > 0 && size + record > target) {
      runs.push({ entries: entries.slice(first, index), first, size });
      first = index;
      size = 0;
    }
    size += record;
  });
  return [...runs, { entries: entries.slice(first), first, size }];
}

/** Bytes of the end mark. */
const TRAILER_SIZE = recordSize(TRAILER.length, 0);

/** Bytes of the archive that {@link writeArchive} makes of a run. */
export function archiveSize(run: EntryRun, { trailer }: Pick<ArchiveOptions, 'trailer'>): number {
  return run.size + (trailer ? TRAILER_SIZE : 0);
}

function dataSize(entry: ArrangedEntry, index: number): number {
  if (entry.type === 'symlink') return Buffer.byteLength(entry.target);
  return entry.type === 'file' && (entry.hardLink?.first ?? index) === index ? entry.size : 0;
}

/**
 * Writes a run of arranged entries as one newc archive, a multiple of 4 bytes long. The data of a hard linked
 * file goes with its first name, which may be in an earlier run.
 */
export async function writeArchive(run: EntryRun, options: ArchiveOptions, sink: Sink): Promise<void> {
  const output = new ChunkedOutput(pieceSize(run, options), sink);
  for (const [offset, entry] of run.entries.entries()) {
    options.signal.throwIfAborted();
    const size = dataSize(entry, run.first + offset);
    const header = headerOf(entry, run.first + offset, size, options.device);
    // Where there is room for all of it nothing is waited for: there are tens of thousands of them.
    if (recordSize(header.namesize - 1, size) > output.room) await output.flush();
    output.header(header, entry.path);
    if (entry.type === 'symlink') output.text(entry.target);
    else if (size > 0 && entry.type === 'file') {
      const copied = output.room >= size ? copyFrom(entry, output) : undefined;
      checkCopied(entry, copied ?? (await copyContent(entry, output)));
    }
    if (output.padding > output.room) await output.flush();
    output.pad();
  }
  if (options.trailer) {
    if (TRAILER_SIZE > output.room) await output.flush();
    output.header(TRAILER_HEADER, TRAILER);
    output.pad();
  }
  await output.finish();
}

function pieceSize(run: EntryRun, options: ArchiveOptions): number {
  const size = archiveSize(run, options);
  return options.whole === true && size <= WHOLE_SIZE ? size : Math.min(size, CHUNK_SIZE);
}

/** Copies what is in an open file, and gives the number of bytes that were there. Undefined for other content. */
function copyFrom({ content, size }: FileEntry, output: ChunkedOutput): number | undefined {
  return 'descriptor' in content ? output.read(content.descriptor, content.offset, size) : undefined;
}

/** Copies what comes as it comes, and gives the number of bytes that came: of too many, not all. */
async function copyContent({ content, size }: FileEntry, output: ChunkedOutput): Promise<number> {
  let copied = 0;
  if ('descriptor' in content) {
    while (copied < size) {
      if (output.room === 0) await output.flush();
      const wanted = Math.min(size - copied, output.room);
      const read = output.read(content.descriptor, content.offset + copied, wanted);
      copied += read;
      if (read < wanted) break;
    }
    return copied;
  }
  for await (const bytes of content) {
    copied += bytes.length;
    if (copied > size) break;
    for (let at = 0; at < bytes.length; ) {
      if (output.room === 0) await output.flush();
      at += output.bytes(bytes.subarray(at, at + output.room));
    }
  }
  return copied;
}

function checkCopied({ path, size }: FileEntry, copied: number): void {
  if (copied === size) return;
  const delivered = copied > size ? 'more' : `${copied}`;
  throw new InitramfsError('ContentChanged', `${shown(path)} has ${size} bytes, but ${delivered} were read`);
}

function headerOf(entry: ArrangedEntry, index: number, filesize: number, device: MemberDevice): Header {
  const special = entry.type === 'character' || entry.type === 'block';
  return {
    ino: (entry.hardLink?.first ?? index) + 1,
    mode: FILE_TYPE[entry.type] | entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    nlink: entry.type === 'directory' ? 2 : (entry.hardLink?.names ?? 1),
    mtime: representableTime(entry.mtime),
    filesize,
    devmajor: device.major,
    devminor: device.minor,
    rdevmajor: special ? entry.major : 0,
    rdevminor: special ? entry.minor : 0,
    namesize: Buffer.byteLength(entry.path) + 1,
  };
}

const TRAILER_HEADER: Header = {
  ino: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  nlink: 1,
  mtime: 0,
  filesize: 0,
  devmajor: 0,
  devminor: 0,
  rdevmajor: 0,
  rdevminor: 0,
  namesize: TRAILER.length + 1,
};

/** One buffer for an archive that fits; two in turn for a larger one: one is filled while the sink works on the other. */
class ChunkedOutput {
  readonly #sink: Sink;
  #current: Buffer;
  #other: Buffer | undefined;
  #used = 0;
  #written = 0;
  #pending: Promise<void> = Promise.resolve();

  constructor(size: number, sink: Sink) {
    this.#sink = sink;
    this.#current = Buffer.allocUnsafeSlow(size);
  }

  /** Bytes that can be put in before the next {@link flush}. */
  get room(): number {
    return this.#current.length - this.#used;
  }

  /** Zeros that are missing to a multiple of 4. */
  get padding(): number {
    return align4(this.#written) - this.#written;
  }

  header(header: Header, name: string): void {
    writeHeader(this.#current, this.#used, header);
    this.#advance(HEADER_SIZE);
    this.text(name);
    this.#current[this.#used] = 0;
    this.#advance(1);
    this.pad();
  }

  text(text: string): void {
    this.#advance(this.#current.write(text, this.#used));
  }

  bytes(bytes: Uint8Array): number {
    this.#current.set(bytes, this.#used);
    this.#advance(bytes.length);
    return bytes.length;
  }

  /**
   * Copies from a file, straight into the buffer, and gives the number of bytes that were there. The
   * file was written a moment ago, so its bytes are in memory: a promise would cost more than the read.
   */
  read(descriptor: number, offset: number, length: number): number {
    let done = 0;
    while (done < length) {
      const read = readSync(descriptor, this.#current, this.#used, length - done, offset + done);
      if (read === 0) break;
      this.#advance(read);
      done += read;
    }
    return done;
  }

  pad(): void {
    const { padding } = this;
    this.#current.fill(0, this.#used, this.#used + padding);
    this.#advance(padding);
  }

  async flush(): Promise<void> {
    await this.#pending;
    if (this.#used === 0) return;
    this.#pending = this.#sink(this.#current.subarray(0, this.#used));
    // Its failure is met at the next await; until then it is nobody's unhandled rejection.
    this.#pending.catch(() => undefined);
    const next = this.#other ?? Buffer.allocUnsafeSlow(this.#current.length);
    this.#other = this.#current;
    this.#current = next;
    this.#used = 0;
  }

  async finish(): Promise<void> {
    await this.#pending;
    if (this.#used > 0) await this.#sink(this.#current.subarray(0, this.#used));
    // Only of an archive that was written whole: after a failure somebody may still be reading.
    freeBuffer(this.#current);
    if (this.#other !== undefined) freeBuffer(this.#other);
  }

  #advance(bytes: number): void {
    this.#used += bytes;
    this.#written += bytes;
  }
}
