import { type BootLayerFrame, bootLayerSize } from '../oci/boot-image.ts';
import type { ByteRange } from './byte-range.ts';

/** A stretch of a layer. `object` is a range of the stored object. */
export type LayerPart =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'object'; readonly range: ByteRange }
  | { readonly kind: 'zeros'; readonly count: number };

/** What bytes `range.first` to `range.last` of a layer are made of, in order, without empty parts. */
export function partsOf(frame: BootLayerFrame, range: ByteRange): readonly LayerPart[] {
  const objectStart = frame.header.length;
  const zerosStart = objectStart + frame.objectSize;
  const end = range.last + 1;
  const parts: LayerPart[] = [];
  if (range.first < objectStart) {
    parts.push({ kind: 'bytes', bytes: frame.header.subarray(range.first, Math.min(end, objectStart)) });
  }
  const first = Math.max(range.first, objectStart);
  const last = Math.min(end, zerosStart) - 1;
  if (first <= last)
    parts.push({ kind: 'object', range: { first: first - objectStart, last: last - objectStart } });
  const zeros = Math.min(end, bootLayerSize(frame)) - Math.max(range.first, zerosStart);
  if (zeros > 0) parts.push({ kind: 'zeros', count: zeros });
  return parts;
}
