/**
 * The part of DER (ITU-T X.690) that a certificate needs, for writing. Each function gives the
 * encoding of one value: tag, length, content.
 */

type Der = Uint8Array;

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

function tagged(tag: number, ...content: readonly Der[]): Der {
  const body = Buffer.concat(content);
  return Buffer.concat([Uint8Array.of(tag), lengthOf(body.length), body]);
}

/** Short form below 128, else the count of bytes and then those (X.690, 8.1.3). */
function lengthOf(length: number): Der {
  if (length < 0x80) return Uint8Array.of(length);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.of(0x80 | bytes.length, ...bytes);
}

export const sequence = (...items: readonly Der[]): Der => tagged(TAG.sequence, ...items);
export const set = (...items: readonly Der[]): Der => tagged(TAG.set, ...items);
export const octetString = (content: Der): Der => tagged(TAG.octetString, content);
export const utf8String = (text: string): Der => tagged(TAG.utf8String, Buffer.from(text, 'utf8'));
export const boolean = (value: boolean): Der => tagged(TAG.boolean, Uint8Array.of(value ? 0xff : 0));

/** `unused`: bits of the last byte that do not count. */
export const bitString = (content: Der, unused = 0): Der =>
  tagged(TAG.bitString, Uint8Array.of(unused), content);

/** A non-negative integer given by its bytes, highest first. */
export function integer(bytes: Der): Der {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const least = bytes.subarray(start);
  // A set high bit would make it negative.
  return (least[0] ?? 0) >= 0x80 ? tagged(TAG.integer, Uint8Array.of(0), least) : tagged(TAG.integer, least);
}

/** `1.2.840.10045.4.3.2` and the like (X.690, 8.19). */
export function objectIdentifier(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tagged(TAG.objectIdentifier, Uint8Array.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}

/** Whole seconds, UTC. UTCTime to the end of 2049, GeneralizedTime after (RFC 5280, 4.1.2.5). */
export function time(ms: number): Der {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return digits < '2050'
    ? tagged(TAG.utcTime, Buffer.from(digits.slice(2), 'ascii'))
    : tagged(TAG.generalizedTime, Buffer.from(digits, 'ascii'));
}

/** A context-specific tag around whole values (`EXPLICIT`). */
export const explicit = (number: number, ...items: readonly Der[]): Der => tagged(0xa0 | number, ...items);
/** A context-specific tag in place of a primitive value's own (`IMPLICIT`). */
export const implicit = (number: number, content: Der): Der => tagged(0x80 | number, content);
