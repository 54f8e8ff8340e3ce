import type { Descriptor } from '../oci/types.ts';
import type { MemberSource } from './sources.ts';

/**
 * Images with a place of their own that are pulled and written at the same time, largest first: enough to keep
 * all cores busy. What is known of the files of more of them would only lie in memory.
 */
export const PLACED_AT_ONCE = 3;

/**
 * What is pulled before it is asked for: in their order the images that all others wait for; then the largest of
 * those, and each that has a layer in common with another, since a layer is pulled once only while somebody waits for it.
 */
export function pullOrder(sources: readonly MemberSource[]): readonly MemberSource[] {
  const roots = sources.filter(({ place }) => place === '');
  const placed = sources.filter(({ place }) => place !== '').sort((a, b) => pulledBytes(b) - pulledBytes(a));
  const users = Map.groupBy(
    sources.flatMap((source) => pulledOf(source).map(({ digest }) => digest)),
    (digest) => digest,
  );
  const shares = (source: MemberSource): boolean =>
    pulledOf(source).some(({ digest }) => (users.get(digest)?.length ?? 0) > 1);
  return [...roots, ...placed.filter((source, index) => index < PLACED_AT_ONCE || shares(source))];
}

function pulledOf(source: MemberSource): readonly Descriptor[] {
  return source.kind === 'kernel' || source.layout === undefined ? source.image.layers : source.layout.blobs;
}

/** Bytes to be pulled of an image. */
export function pulledBytes(source: MemberSource): number {
  return pulledOf(source).reduce((sum, { size }) => sum + size, 0);
}
