import type { Transform } from 'node:stream';
import { constants, createGunzip, createZstdDecompress, type Zlib } from 'node:zlib';
import { endsBuffer, freeBuffer } from '../buffer.ts';
import { OciError } from './errors.ts';

/**
 * Uncompresses a layer as it streams: gzip (RFC 1952), zstd (RFC 8878) or nothing, told by its
 * first bytes as container engines do, since media types are often wrong. Several gzip members
 * or zstd frames in a row are one layer; anything else after the first is an error.
 */

type Decompressor = Transform & Zlib;

/** Uncompressed bytes handed out at once, at most. Each costs a trip through the thread pool. */
const OUTPUT_BYTES = 512 * 1024;
/** Largest zstd window, as a power of two: what the zstd tools take by default. */
const ZSTD_WINDOW_LOG = 27;
/** Chunks of output that may wait for their reader. */
const OUTPUT_CHUNKS = 4;

/**
 * Yields the uncompressed bytes; a chunk is gone when the next one is asked for. `name` says in messages which
 * layer it is. Reads the source to its end.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const input = source[Symbol.asyncIterator]();
  let over = false;
  const next = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const { done, value } = await input.next();
      if (done === true) {
        over = true;
        return undefined;
      }
      if (value.length > 0) return value;
    }
  };
  try {
    let rest = await firstBytes(next);
    const create = decompressorFor(rest);
    if (create === undefined) {
      for (; rest !== undefined; rest = await next()) yield rest;
      return;
    }
    while (rest !== undefined) {
      const decompressor: Decompressor = create();
      const feeding: Promise<Uint8Array | undefined> = feed(decompressor, rest, next);
      // Its failure is met below; until then it must not count as unhandled.
      feeding.catch(() => undefined);
      try {
        for await (const chunk of decompressor as AsyncIterable<Buffer>) {
          yield chunk;
          if (endsBuffer(chunk)) freeBuffer(chunk);
        }
      } catch (error) {
        // If the source failed, that is the reason, and the decompressor's complaint its consequence.
        await feeding;
        throw damaged(name, error);
      } finally {
        decompressor.destroy();
      }
      rest = await feeding;
    }
  } finally {
    if (!over) await input.return?.();
  }
}

/** Gives the decompressor what the source has until one of them is done, and returns what is left over. */
async function feed(
  decompressor: Decompressor,
  first: Uint8Array,
  next: () => Promise<Uint8Array | undefined>,
): Promise<Uint8Array | undefined> {
  try {
    let chunk: Uint8Array | undefined = first;
    while (chunk !== undefined) {
      const before = decompressor.bytesWritten;
      if ((await write(decompressor, chunk)) === 'closed') return undefined;
      const taken = decompressor.bytesWritten - before;
      // The compressed stream was over before the chunk was.
      if (taken < chunk.length) return chunk.subarray(taken);
      chunk = await next();
      if (decompressor.readableEnded) return chunk;
    }
    decompressor.end();
    return undefined;
  } catch (error) {
    decompressor.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/** Writes one chunk. `closed`: nobody reads any more, or the data was bad. */
function write(decompressor: Decompressor, chunk: Uint8Array): Promise<'written' | 'closed'> {
  return new Promise((resolve) => {
    const onClose = (): void => resolve('closed');
    if (decompressor.destroyed) return onClose();
    decompressor.once('close', onClose);
    decompressor.write(chunk, (error) => {
      decompressor.off('close', onClose);
      resolve(error ? 'closed' : 'written');
    });
  });
}

/** The first chunk, made long enough to hold the longest magic number if there is that much. */
async function firstBytes(next: () => Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
  let bytes = await next();
  while (bytes !== undefined && bytes.length < 4) {
    const more = await next();
    if (more === undefined) break;
    bytes = Buffer.concat([bytes, more]);
  }
  return bytes;
}

function decompressorFor(start: Uint8Array | undefined): (() => Decompressor) | undefined {
  if (start === undefined || start.length < 4) return undefined;
  const magic = Buffer.from(start.buffer, start.byteOffset, 4).readUInt32LE();
  // Without object mode the stream would join waiting chunks into one by copying them.
  const streaming = {
    chunkSize: OUTPUT_BYTES,
    readableObjectMode: true,
    readableHighWaterMark: OUTPUT_CHUNKS,
  };
  if ((magic & 0xff_ffff) === 0x08_8b1f) return () => createGunzip(streaming);
  const skippable = (magic & 0xffff_fff0) >>> 0 === 0x184d_2a50;
  if (magic !== 0xfd2f_b528 && !skippable) return undefined;
  const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG };
  return () => createZstdDecompress({ ...streaming, params });
}

function damaged(name: string, error: unknown): OciError {
  const why = error instanceof Error ? error.message : String(error);
  return new OciError('InvalidLayer', `${name}: its compressed data is damaged: ${why}`, { cause: error });
}
