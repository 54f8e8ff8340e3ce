import { isUtf8 } from 'node:buffer';
import { OciError } from '../errors.ts';
import { BLOCK_BYTES } from './block.ts';
import type { TarEntryType } from './entry.ts';
import { parseNumber } from './number.ts';
import { sparse } from './pax.ts';

/** A header block as it stands, before PAX and GNU records are applied to it. */
export interface RawHeader {
  readonly kind: TarEntryType | RecordKind;
  readonly path: string;
  readonly linkTarget: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly devMajor: number;
  readonly devMinor: number;
  /** The flag was NUL, as before POSIX: a trailing slash in the final name makes it a directory. */
  readonly old: boolean;
}

/** Headers that say something of the entry after them: PAX for it, PAX for all that follow, GNU long name and link. */
export type RecordKind = 'pax' | 'pax-global' | 'gnu-path' | 'gnu-link';

const KINDS: Readonly<Record<string, RawHeader['kind']>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  // Contiguous files: POSIX lets a reader take them for ordinary ones.
  '7': 'file',
  x: 'pax',
  g: 'pax-global',
  L: 'gnu-path',
  K: 'gnu-link',
};

/** Reads a header block (POSIX.1-2017, pax, "ustar Interchange Format"), or undefined for a block of zeros. */
export function parseHeader(block: Buffer, where: string): RawHeader | undefined {
  const sum = checksum(block);
  if (sum === 'zeros') return undefined;
  const stated = parseNumber(block, 148, 8);
  // Some old writers summed signed bytes.
  if (stated !== sum.unsigned && stated !== sum.signed) {
    throw new OciError('InvalidTar', `${where}: not a tar header, its checksum is wrong`);
  }
  const flag = block.toString('latin1', 156, 157);
  if (flag === 'S') throw sparse(where);
  const kind = KINDS[flag];
  if (kind === undefined) {
    throw new OciError('InvalidTar', `${where}: entries of type ${JSON.stringify(flag)} are not supported`);
  }
  const device = kind === 'character' || kind === 'block';
  const number = (field: string, start: number, length: number): number => {
    const value = parseNumber(block, start, length);
    if (value === undefined)
      throw new OciError('InvalidTar', `${where}: the header's ${field} is not a number`);
    return value;
  };
  return {
    kind,
    path: path(block, where),
    linkTarget: text(block, 157, 100, where),
    mode: number('mode', 100, 8) & 0o7777,
    uid: number('uid', 108, 8),
    gid: number('gid', 116, 8),
    size: number('size', 124, 12),
    mtime: number('mtime', 136, 12),
    // Elsewhere these fields may hold anything.
    devMajor: device ? number('device major', 329, 8) : 0,
    devMinor: device ? number('device minor', 337, 8) : 0,
    old: flag === '\0',
  };
}

/** Decodes a name. Names that are not UTF-8 are refused: what is built from them could not be described. */
export function decodeText(bytes: Buffer, where: string): string {
  const decoded = bytes.toString('utf8', 0, bytes.length);
  if (decoded.includes('\uFFFD') && !isUtf8(bytes)) {
    throw new OciError(
      'UnsafePath',
      `${where}: the name ${JSON.stringify(decoded.slice(0, 200))} is not UTF-8`,
    );
  }
  return decoded;
}

function path(block: Buffer, where: string): string {
  const name = text(block, 0, 100, where);
  // GNU's own format ("ustar  ") and archives from before POSIX keep other things where ustar has its prefix.
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const star = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = text(block, 345, star ? 131 : 155, where);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function text(block: Buffer, start: number, length: number, where: string): string {
  const nul = block.indexOf(0, start);
  const end = nul < 0 || nul > start + length ? start + length : nul;
  return end === start ? '' : decodeText(block.subarray(start, end), where);
}

/** Sums the block with its checksum field taken as spaces. */
function checksum(block: Buffer): { readonly unsigned: number; readonly signed: number } | 'zeros' {
  let unsigned = 0;
  let high = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    const byte = block[at] ?? 0;
    unsigned += byte;
    if (byte > 127 && (at < 148 || at >= 156)) high++;
  }
  if (unsigned === 0) return 'zeros';
  for (let at = 148; at < 156; at++) unsigned += 0x20 - (block[at] ?? 0);
  return { unsigned, signed: unsigned - 256 * high };
}
