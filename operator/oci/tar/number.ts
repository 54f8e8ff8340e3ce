/**
 * Numeric fields of a tar header: octal digits (POSIX.1-2017, pax, "ustar Interchange Format"),
 * or GNU's base-256 when the first byte has its high bit set: two's complement, big-endian.
 */

/** The number, or undefined if the field holds none or one beyond what a double counts exactly. */
export function parseNumber(block: Uint8Array, start: number, length: number): number | undefined {
  const first = block[start] ?? 0;
  return (first & 0x80) === 0 ? parseOctal(block, start, length) : parseBase256(block, start, length);
}

function parseOctal(block: Uint8Array, start: number, length: number): number | undefined {
  const end = start + length;
  let at = start;
  // Old writers pad with spaces in front, some with NULs.
  while (at < end && isPadding(block[at])) at++;
  let value = 0;
  for (; at < end && !isPadding(block[at]); at++) {
    const digit = (block[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  for (; at < end; at++) if (!isPadding(block[at])) return undefined;
  return value;
}

function isPadding(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}

function parseBase256(block: Uint8Array, start: number, length: number): number | undefined {
  const first = block[start] ?? 0;
  const negative = (first & 0x40) !== 0;
  // The marker bit is replaced by the sign, so that the field reads as one two's complement number.
  let value = (first & 0x7f) - (negative ? 0x80 : 0);
  for (let at = start + 1; at < start + length; at++) value = value * 256 + (block[at] ?? 0);
  return Number.isSafeInteger(value) ? value : undefined;
}
