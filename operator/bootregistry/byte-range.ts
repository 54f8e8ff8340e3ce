/** A part of a representation, both ends inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Reads a `Range` header for a representation of `size` bytes (RFC 9110, sections 14.1.2 and 14.2).
 * `whole`: there is no range, or one that may be ignored, as several ranges, other units and what is
 * malformed may. `unsatisfiable`: it is to be answered with 416.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(header?.trim() ?? '');
  if (match === null) return 'whole';
  const [, from, to] = match;
  if (!from && !to) return 'whole';
  if (!from) {
    const suffix = Number(to);
    if (suffix === 0 || size === 0) return 'unsatisfiable';
    return { first: Math.max(0, size - suffix), last: size - 1 };
  }
  const first = Number(from);
  const last = to ? Number(to) : size - 1;
  if (to && last < first) return 'whole';
  if (first >= size) return 'unsatisfiable';
  return { first, last: Math.min(last, size - 1) };
}
