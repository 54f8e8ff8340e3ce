import { pipeline, Readable } from 'node:stream';
import type { BuildRecord } from '../build/record.ts';
import { bootLayerSize } from '../oci/boot-image.ts';
import type { PushClient } from '../oci/push-client.ts';
import type { Digest } from '../oci/types.ts';
import { artifactKey } from '../storage/layout.ts';
import { type ObjectReader, StorageError } from '../storage/store.ts';
import { openLayer } from './layer-stream.ts';
import { type ServedLayer, servedImageOf } from './served-image.ts';

/** What a push came to; `bytesPushed` without what the registry had already. */
export interface PushedImage {
  readonly digest: Digest;
  readonly tag: string;
  readonly bytesPushed: number;
}

/**
 * Puts an artifact's boot image, byte for byte as boot registries serve it, into a registry. Layers are composed
 * of the stored objects while they are sent. The manifest goes last, so that what can be pulled is whole.
 *
 * `store` is a namespace's part. Throws OciError for what the registry says, and StorageError.
 */
export async function pushBootImage(
  store: ObjectReader,
  image: string,
  record: BuildRecord,
  client: PushClient,
  signal: AbortSignal,
): Promise<PushedImage> {
  const made = servedImageOf(record);
  if ('problem' in made)
    throw new StorageError('InvalidRecord', `artifact ${record.digest} gives no boot image: ${made.problem}`);
  const { digest, mediaType, manifest, config, configDigest, layers } = made.image;
  let bytesPushed = 0;
  const push = async (
    blob: { readonly digest: Digest; readonly size: number },
    open: (signal: AbortSignal) => Promise<Readable>,
  ): Promise<void> => {
    if ((await client.pushBlob(blob, open, signal)) === 'pushed') bytesPushed += blob.size;
  };
  for (const layer of layers) {
    const objectKey = artifactKey(image, record.digest, layer.file);
    await push({ digest: layer.digest, size: bootLayerSize(layer.frame) }, (ending) =>
      openWhole(store, layer, objectKey, ending),
    );
  }
  await push({ digest: configDigest, size: config.length }, async () => Readable.from([config]));
  const tag = bootTag(digest);
  await client.pushManifest({ digest, mediaType, bytes: manifest }, tag, signal);
  return { digest, tag, bytesPushed };
}

/** Of the manifest, so that it never moves: what a tag has left behind may be collected. */
export function bootTag(digest: Digest): string {
  return digest.slice('sha256:'.length, 'sha256:'.length + 12);
}

/** Fails before its last byte if it is not what its digest says. */
async function openWhole(
  store: ObjectReader,
  layer: ServedLayer,
  objectKey: string,
  signal: AbortSignal,
): Promise<Readable> {
  const range = { first: 0, last: bootLayerSize(layer.frame) - 1 };
  const [stream, checking] = await openLayer(store, { layer, objectKey }, range, { signal });
  if (checking === undefined) return stream;
  // Whoever reads the end of it is told of an error anywhere in it.
  return pipeline(stream, checking, () => undefined);
}
