import { readSync } from 'node:fs';
import type { ArrangedEntry } from './arrange.ts';
import { representableTime } from './arrange.ts';
import type { FileEntry, FileRange } from './entry.ts';
import { InitramfsError, shown } from './error.ts';
import type { Header } from './newc.ts';
import { align4, FILE_TYPE, formatHeader, HEADER_SIZE, recordSize, TRAILER } from './newc.ts';

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
  readonly signal: AbortSignal;
}

/** Takes the next bytes of a stream. They may be overwritten as soon as the promise settles. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

/** Bytes handed on at a time. */
export const CHUNK_SIZE = 1024 * 1024;

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
export const TRAILER_SIZE = recordSize(TRAILER.length, 0);

function dataSize(entry: ArrangedEntry, index: number): number {
  if (entry.type === 'symlink') return Buffer.byteLength(entry.target);
  return entry.type === 'file' && entry.inode === index ? entry.size : 0;
}

/**
 * Writes a run of arranged entries as one newc archive, a multiple of 4 bytes long. The data of a hard
 * linked file goes with its first name, which may be in an earlier run.
 */
export async function writeArchive(run: EntryRun, options: ArchiveOptions, sink: Sink): Promise<void> {
  const output = new ChunkedOutput(sink);
  for (const [offset, entry] of run.entries.entries()) {
    const index = run.first + offset;
    options.signal.throwIfAborted();
    const size = dataSize(entry, index);
    await output.text(formatHeader(headerOf(entry, size, options.device)), entry.path);
    if (entry.type === 'symlink') await output.bytes(Buffer.from(entry.target));
    else if (size > 0 && entry.type === 'file') await copyContent(entry, output);
    await output.pad();
  }
  if (options.trailer) {
    await output.text(formatHeader(trailerHeader()), TRAILER);
    await output.pad();
  }
  await output.finish();
}

async function copyContent(entry: FileEntry, output: ChunkedOutput): Promise<void> {
  const { content } = entry;
  let copied = 0;
  if ('descriptor' in content) copied = await output.range(content, entry.size);
  else
    for await (const bytes of content) {
      copied += bytes.length;
      if (copied > entry.size) break;
      await output.bytes(bytes);
    }
  if (copied === entry.size) return;
  const delivered = copied > entry.size ? 'more' : `${copied}`;
  throw new InitramfsError(
    'ContentChanged',
    `${shown(entry.path)} has ${entry.size} bytes, but ${delivered} were read`,
  );
}

function headerOf(entry: ArrangedEntry, filesize: number, device: MemberDevice): Header {
  const special = entry.type === 'character' || entry.type === 'block';
  return {
    ino: entry.inode + 1,
    mode: FILE_TYPE[entry.type] | entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    nlink: entry.type === 'directory' ? 2 : entry.names,
    mtime: representableTime(entry.mtime),
    filesize,
    devmajor: device.major,
    devminor: device.minor,
    rdevmajor: special ? entry.major : 0,
    rdevminor: special ? entry.minor : 0,
    namesize: Buffer.byteLength(entry.path) + 1,
  };
}

function trailerHeader(): Header {
  const zero = {
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: 0,
    filesize: 0,
    devmajor: 0,
    devminor: 0,
    rdevmajor: 0,
    rdevminor: 0,
  };
  return { ...zero, ino: 0, nlink: 1, namesize: TRAILER.length + 1 };
}

/** Buffers that no archive is being written with: made once, since freeing them costs a garbage collection. */
const spare: Buffer[] = [];

/** Two buffers in turn: one is filled while the sink works on the other. */
class ChunkedOutput {
  readonly #sink: Sink;
  #current = spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_SIZE);
  #other = spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_SIZE);
  #used = 0;
  #written = 0;
  #pending: Promise<void> = Promise.resolve();

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  async text(header: string, name: string): Promise<void> {
    const size = HEADER_SIZE + Buffer.byteLength(name) + 1;
    if (this.#used + align4(size) > CHUNK_SIZE) {
      // A record may straddle two chunks; headers are short enough to go the plain way.
      await this.bytes(Buffer.from(`${header}${name}\0`));
    } else {
      this.#current.write(header, this.#used, 'latin1');
      this.#current.write(name, this.#used + HEADER_SIZE);
      this.#current[this.#used + size - 1] = 0;
      this.#used += size;
      this.#written += size;
    }
    await this.pad();
  }

  async bytes(bytes: Uint8Array): Promise<void> {
    this.#written += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      if (this.#used === CHUNK_SIZE) await this.#flush();
      const part = bytes.subarray(at, at + CHUNK_SIZE - this.#used);
      this.#current.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
    }
  }

  /**
   * Copies from a file, straight into the chunk, and gives the number of bytes that were there. The
   * file was written a moment ago, so its bytes are in memory: a promise would cost more than the read.
   */
  async range({ descriptor, offset }: FileRange, length: number): Promise<number> {
    for (let done = 0; done < length; ) {
      if (this.#used === CHUNK_SIZE) await this.#flush();
      const wanted = Math.min(length - done, CHUNK_SIZE - this.#used);
      const read = readSync(descriptor, this.#current, this.#used, wanted, offset + done);
      if (read === 0) return done;
      this.#used += read;
      this.#written += read;
      done += read;
    }
    return length;
  }

  async pad(): Promise<void> {
    const missing = align4(this.#written) - this.#written;
    if (missing > 0) await this.bytes(new Uint8Array(missing));
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#pending;
    // Only of an archive that was written whole: after a failure somebody may still be reading.
    spare.push(this.#current, this.#other);
  }

  async #flush(): Promise<void> {
    await this.#pending;
    if (this.#used === 0) return;
    const chunk = this.#current.subarray(0, this.#used);
    this.#pending = this.#sink(chunk);
    // Its failure is met at the next await; until then it is nobody's unhandled rejection.
    this.#pending.catch(() => undefined);
    [this.#current, this.#other] = [this.#other, this.#current];
    this.#used = 0;
  }
}
