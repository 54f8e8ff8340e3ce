import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Sink } from '../initramfs/archive.ts';
import type { ByteSum } from '../initramfs/member.ts';
import type { ObjectSource } from '../storage/store.ts';

/** A finished file in the work folder of a build. */
export interface WorkFile extends ByteSum {
  readonly path: string;
}

/** The file as something to store. */
export function objectSource(file: WorkFile): ObjectSource {
  return {
    size: file.size,
    sha256: file.sha256,
    open: () => createReadStream(file.path, { highWaterMark: 1024 * 1024 }),
  };
}

/** A file that stays in the work folder as it is, as something to store: it may be linked. */
export function linkableSource(file: WorkFile): ObjectSource {
  return { ...objectSource(file), linkable: file.path };
}

/** Makes a file at `path` of what `fill` gives to the sink. The caller removes it with its folder. */
export async function createFile<T>(path: string, fill: (sink: Sink) => Promise<T>): Promise<T> {
  const handle = await open(path, 'wx');
  try {
    return await fill((bytes) => writeAll(handle, bytes));
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const result = await handle.write(bytes, written, bytes.length - written, null);
    written += result.bytesWritten;
  }
}

/** Copies `content` to a new file at `path`, and sums it. */
export async function copyToFile(
  path: string,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal,
): Promise<WorkFile> {
  const hash = createHash('sha256');
  let size = 0;
  await createFile(path, async (sink) => {
    for await (const bytes of content) {
      signal.throwIfAborted();
      hash.update(bytes);
      size += bytes.length;
      await sink(bytes);
    }
  });
  return { path, size, sha256: hash.digest('hex') };
}
