import { addAbortSignal, Readable } from 'node:stream';
import { bootLayerSize } from '../oci/boot-image.ts';
import type { ObjectReader } from '../storage/store.ts';
import { VerifiedStream } from '../storage/verified-stream.ts';
import type { ByteRange } from './byte-range.ts';
import { type LayerPart, partsOf } from './layer-parts.ts';
import type { ServedLayer } from './served-image.ts';

const ZEROS = Buffer.alloc(16 * 1024);

/**
 * The bytes of a layer from `range.first` to `range.last`, composed while they are read: nothing is
 * held but what is on its way. The object is opened before this returns, so that what storage refuses
 * can still be answered properly; `signal` lets go of it. `stages` are to be piped one into the next; the last of them fails,
 * before its last byte, if a whole layer does not have its digest.
 *
 * Throws StorageError. The caller owns the stages.
 */
export async function openLayer(
  store: ObjectReader,
  source: { readonly layer: ServedLayer; readonly objectKey: string },
  range: ByteRange,
  options: { readonly signal: AbortSignal },
): Promise<readonly [Readable] | readonly [Readable, VerifiedStream]> {
  const { frame, digest, file, objectSha256 } = source.layer;
  const parts = partsOf(frame, range);
  const wanted = parts.find((part) => part.kind === 'object');
  const object =
    wanted === undefined
      ? undefined
      : await openObject(store, source, wanted.range, objectSha256, frame.objectSize, options);
  const stream = Readable.from(bytesOf(parts, object), { objectMode: false });
  if (object !== undefined) {
    // A generator cannot be ended while it waits for its next chunk, nor one that was never begun:
    // the object has to be let go from outside.
    addAbortSignal(options.signal, object);
    stream.on('close', () => object.destroy());
  }
  const size = bootLayerSize(frame);
  if (range.first > 0 || range.last < size - 1) return [stream];
  return [
    stream,
    new VerifiedStream({ size, sha256: digest.slice('sha256:'.length) }, `layer ${file} ${digest}`),
  ];
}

async function openObject(
  store: ObjectReader,
  { objectKey }: { readonly objectKey: string },
  range: ByteRange,
  sha256: string,
  size: number,
  options: { readonly signal: AbortSignal },
): Promise<Readable> {
  const { info, body } = await store.get(objectKey, { ...options, range });
  if (info.size === size && (info.sha256 ?? sha256) === sha256) return body;
  body.destroy();
  throw new Error(`object ${objectKey} is not the one that its record speaks of`);
}

async function* bytesOf(parts: readonly LayerPart[], object: Readable | undefined): AsyncGenerator<Buffer> {
  for (const part of parts) {
    switch (part.kind) {
      case 'bytes':
        yield part.bytes;
        break;
      case 'object':
        if (object !== undefined) yield* object as AsyncIterable<Buffer>;
        break;
      case 'zeros':
        for (let left = part.count; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
        break;
    }
  }
}
