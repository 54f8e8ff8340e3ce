import { createHash } from 'node:crypto';
import { decompress } from './decompress.ts';
import { limitExceeded, OciError } from './errors.ts';
import type { IndexedLayer } from './layer-index.ts';
import type { Spool } from './spool.ts';
import { TarIndexer } from './tar/indexer.ts';
import { TAR_LIMITS, type TarLimits } from './tar/limits.ts';
import { type Descriptor, type Digest, sha256Digest } from './types.ts';

/** What a layer may cost. The archive's own limits are in {@link TarLimits}. */
export interface LayerLimits extends TarLimits {
  /** Uncompressed bytes for each compressed one, judged once the layer is larger than `expansionFreeBytes`. */
  readonly maxExpansionRatio: number;
  readonly expansionFreeBytes: number;
}

export const LAYER_LIMITS: LayerLimits = {
  ...TAR_LIMITS,
  maxExpansionRatio: 250,
  expansionFreeBytes: 256 << 20,
};

const LAYER_MEDIA_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
]);

export function isLayerMediaType(mediaType: string): boolean {
  return LAYER_MEDIA_TYPES.has(mediaType);
}

/**
 * The uncompressed bytes of a layer, hashed while they pass; a chunk is gone when the next one is asked for.
 * On another digest than `diffId` the iteration throws `DigestMismatch` before it ends. Throws `InvalidLayer`
 * on damaged compression, `LimitExceeded` on a bomb. `blob` verifies its own digest and is read to its end.
 */
export async function* openLayer(
  descriptor: Descriptor,
  blob: AsyncIterable<Uint8Array>,
  diffId: Digest,
  signal: AbortSignal,
  limits: LayerLimits = LAYER_LIMITS,
): AsyncGenerator<Uint8Array, void, undefined> {
  const name = `layer ${descriptor.digest}`;
  const hash = createHash('sha256');
  let compressed = 0;
  async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of blob) {
      signal.throwIfAborted();
      compressed += chunk.length;
      yield chunk;
    }
  }
  let size = 0;
  for await (const chunk of decompress(counted(), name)) {
    signal.throwIfAborted();
    size += chunk.length;
    if (size > limits.maxTarBytes) throw limitExceeded('maxTarBytes', limits.maxTarBytes, name);
    if (size > limits.expansionFreeBytes && size > compressed * limits.maxExpansionRatio) {
      throw limitExceeded('maxExpansionRatio', limits.maxExpansionRatio, name);
    }
    hash.update(chunk);
    yield chunk;
  }
  const actual = sha256Digest(hash.digest('hex'));
  if (actual !== diffId) {
    throw new OciError(
      'DigestMismatch',
      `${name}: uncompressed it is ${actual}, but the image's configuration says ${diffId}; build the image again`,
    );
  }
}

/**
 * Sets a layer's archive aside in the spool and notes what lies where in it: one pass, verified. The
 * blob is read to its end, and what it throws is thrown.
 */
export type LayerIndexer = (
  descriptor: Descriptor,
  blob: AsyncIterable<Uint8Array>,
  diffId: Digest,
  spool: Spool,
  signal: AbortSignal,
  limits?: LayerLimits,
) => Promise<IndexedLayer>;

/** Does all of it in the thread that calls. */
export const indexLayer: LayerIndexer = async (
  descriptor,
  blob,
  diffId,
  spool,
  signal,
  limits = LAYER_LIMITS,
) => {
  const indexer = new TarIndexer(`layer ${descriptor.digest}`, limits);
  for await (const chunk of openLayer(descriptor, blob, diffId, signal, limits)) {
    indexer.push(chunk);
    await spool.append(chunk);
  }
  indexer.end();
  return { digest: descriptor.digest, diffId, entries: indexer.entries, spool };
};
