import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { decompress } from '../../../operator/oci/decompress.ts';
import { OciError, type OciErrorCode } from '../../../operator/oci/errors.ts';
import { LAYER_LIMITS, openLayer } from '../../../operator/oci/layer.ts';
import { sha256Digest } from '../../../operator/oci/types.ts';
import { type FuzzTarget, promised } from '../target.ts';
import { ENTRIES, pieces, tar } from './inputs.ts';

/** A bomb is met long before it hurts. */
const LIMITS = { ...LAYER_LIMITS, maxTarBytes: 4 << 20, expansionFreeBytes: 1 << 20 };
const REFUSALS: ReadonlySet<OciErrorCode> = new Set(['InvalidLayer', 'LimitExceeded', 'DigestMismatch']);

/** Uncompressing layers: several members, other bytes behind them, bombs. */
export const layerTarget: FuzzTarget = {
  name: 'layer',
  async corpus() {
    const archive = await tar(ENTRIES);
    const gzip = gzipSync(archive);
    const zstd = zstdCompressSync(archive);
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
    const bomb = Buffer.alloc(8 << 20);
    return [
      gzip,
      zstd,
      archive,
      Buffer.concat([gzip, gzip]),
      Buffer.concat([zstd, skippable, zstd]),
      gzipSync(gzip),
      gzipSync(bomb),
      zstdCompressSync(bomb),
    ];
  },
  words: ['\x1f\x8b\x08', '\x28\xb5\x2f\xfd', '\x50\x2a\x4d\x18'],
  expected: (error) => error instanceof OciError && REFUSALS.has(error.code),
  async parse(input) {
    const descriptor = {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: sha256Digest('0'.repeat(64)),
      size: input.length,
    };
    const signal = AbortSignal.timeout(60_000);
    const hash = createHash('sha256');
    let expectedSize = 0;
    for await (const chunk of decompress(pieces(input, 777), 'input')) {
      hash.update(chunk);
      expectedSize += chunk.length;
      // The reader of layers stops here too, and says so.
      if (expectedSize > LIMITS.maxTarBytes) break;
    }
    const diffId = sha256Digest(hash.digest('hex'));
    let size = 0;
    for await (const chunk of openLayer(descriptor, pieces(input, 5000), diffId, signal, LIMITS))
      size += chunk.length;
    promised(size === expectedSize, 'the pieces that a layer came in change what it is');
    return String(Math.floor(Math.log2(size + 1)));
  },
};
