import type { Random } from './random.ts';

/** Inputs do not grow beyond this many bytes: what matters shows in small ones. */
export const MAX_INPUT = 64 * 1024;
/** Where numbers change their nature, as one, two and four bytes. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

export interface Material {
  /** Inputs to take pieces from. */
  readonly corpus: readonly Buffer[];
  /** Words that mean something to the parser. */
  readonly words: readonly Buffer[];
}

/** A changed copy: a few changes, each small or large, at random. */
export function mutate(input: Buffer, material: Material, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(input);
  const changes = 1 << random.below(4);
  for (let change = 0; change < changes; change += 1) bytes = mutateOnce(bytes, material, random);
  return bytes.subarray(0, MAX_INPUT);
}

function mutateOnce(bytes: Buffer, { corpus, words }: Material, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const length = random.below(Math.min(bytes.length - at, random.oneIn(4) ? 4096 : 16) + 1);
  switch (random.below(9)) {
    case 0:
      return flip(bytes, random);
    case 1:
      return withNumber(bytes, random);
    case 2:
      return splice(bytes, at, length, Buffer.alloc(0));
    case 3:
      return splice(bytes, at, 0, bytes.subarray(at, at + length));
    case 4:
      return splice(bytes, at, 0, Buffer.alloc(random.below(16) + 1, random.below(256)));
    case 5:
      return words.length === 0
        ? flip(bytes, random)
        : splice(bytes, at, random.below(2) * length, random.pick(words));
    case 6: {
      const other = random.pick(corpus);
      const from = random.below(other.length + 1);
      return splice(bytes, at, random.below(2) * length, other.subarray(from, from + random.below(1024)));
    }
    case 7:
      return digits(bytes, random);
    default:
      return repeated(bytes, at, length, random);
  }
}

function splice(bytes: Buffer, at: number, removed: number, added: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)]);
}

function flip(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return Buffer.from([random.below(256)]);
  const at = random.below(bytes.length);
  bytes[at] = random.oneIn(2) ? random.below(256) : (bytes[at] ?? 0) ^ (1 << random.below(8));
  return bytes;
}

function withNumber(bytes: Buffer, random: Random): Buffer {
  const width = random.pick([1, 2, 4]);
  if (bytes.length < width) return bytes;
  const at = random.below(bytes.length - width + 1);
  const value = random.pick(EDGES) % 2 ** (8 * width);
  if (random.oneIn(2)) bytes.writeUIntLE(value, at, width);
  else bytes.writeUIntBE(value, at, width);
  return bytes;
}

/** Another number where one is written in digits. */
function digits(bytes: Buffer, random: Random): Buffer {
  const found = [...bytes.toString('latin1').matchAll(/[0-9a-f]{1,16}/g)];
  if (found.length === 0) return bytes;
  const { index, 0: old } = random.pick(found);
  const value = random.pick([...EDGES, random.next()]);
  const text = random.pick([
    value.toString(8),
    value.toString(10),
    value.toString(16),
    `-${value}`,
    '9'.repeat(20),
  ]);
  const kept = random.oneIn(2) ? text.padStart(old.length, '0').slice(-old.length) : text;
  return splice(bytes, index, old.length, Buffer.from(kept));
}

/** A piece many times over: depth and number are what parsers forget to limit. */
function repeated(bytes: Buffer, at: number, length: number, random: Random): Buffer {
  const piece = bytes.subarray(at, at + Math.max(1, length));
  if (piece.length === 0) return bytes;
  const times = random.pick([2, 16, 256, 4096]);
  const most = Math.floor(MAX_INPUT / piece.length);
  return splice(bytes, at, 0, Buffer.concat(Array.from({ length: Math.min(times, most) }, () => piece)));
}
