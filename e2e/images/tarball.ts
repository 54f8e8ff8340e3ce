import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';

import type { Content, Entry } from './entry.ts';
import { ImageError } from './image-error.ts';
import { padding, RECORD, tarHeader } from './tar-header.ts';

/**
 * The entries as one tar stream, in the order given. The stream fails with what reading a
 * content failed with, and with `InvalidEntry` where a content has another size than announced.
 */
export function tarball(entries: Iterable<Entry>, signal?: AbortSignal): Readable {
  return Readable.from(records(entries, signal), { objectMode: false });
}

async function* records(entries: Iterable<Entry>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    signal?.throwIfAborted();
    if (entry.type !== 'file') {
      yield tarHeader(entry, 0);
      continue;
    }
    const { size, source } = await open(entry.content);
    yield tarHeader(entry, size);
    let seen = 0;
    for await (const chunk of source()) {
      signal?.throwIfAborted();
      seen += chunk.byteLength;
      if (seen > size) break;
      yield chunk;
    }
    if (seen !== size) {
      throw new ImageError(
        'InvalidEntry',
        `content of ${entry.path} has ${seen} bytes, announced were ${size}`,
      );
    }
    yield padding(size);
  }
  yield Buffer.alloc(2 * RECORD);
}

async function open(content: Content): Promise<{ size: number; source: () => AsyncIterable<Uint8Array> }> {
  if (typeof content === 'string') return open(Buffer.from(content));
  if (content instanceof Uint8Array)
    return { size: content.byteLength, source: () => Readable.from([content]) };
  if ('disk' in content) {
    return { size: (await stat(content.disk)).size, source: () => createReadStream(content.disk) };
  }
  return { size: content.size, source: content.stream };
}
