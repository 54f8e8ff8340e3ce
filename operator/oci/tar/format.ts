import { asBuffer, BLOCK_BYTES, paddingOf } from './block.ts';
import type { TarEntryType, TarHeader } from './entry.ts';

const FLAGS: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** What the fields of a ustar header hold: 100 bytes of a name, 7 and 11 octal digits. */
const NAME_BYTES = 100;
const MAX_SHORT = 0o7777777;
const MAX_LONG = 0o77777777777;

/** The largest file in bytes, owner and device numbers. There are no PAX records for longer device numbers. */
export const TAR_BOUNDS = {
  file: Number.MAX_SAFE_INTEGER,
  owner: 0xffff_ffff,
  device: MAX_SHORT,
} as const;

/** The end of an archive: two blocks of zeros. */
export const TAR_END = Buffer.alloc(2 * BLOCK_BYTES);

/** Zeros that fill a body of this size up to whole blocks. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc(paddingOf(size));
}

/**
 * The header of an entry in the PAX format (POSIX.1-2017, pax, "pax Interchange Format"): a ustar block,
 * and before it, where there is something to say that the block has no room for, a block and records with
 * that: long names and those outside of ASCII, large numbers, fractions of seconds, extended attributes
 * (`SCHILY.xattr.`), and `records` of the caller's own. The same entry always gives the same bytes.
 */
export function formatTarHeader(header: TarHeader, records: Readonly<Record<string, string>> = {}): Buffer {
  const extended = [...recordsOf(header), ...Object.entries(records)]
    .map(([keyword, value]) => ({ keyword: Buffer.from(keyword), value: asBytes(value) }))
    .sort((a, b) => Buffer.compare(a.keyword, b.keyword));
  const block = ustar({ ...header, mtime: Math.floor(header.mtime) }, FLAGS[header.type]);
  if (extended.length === 0) return block;
  const body = Buffer.concat(extended.map(({ keyword, value }) => paxRecord(keyword, value)));
  const before = ustar({ ...NOTHING, path: `PaxHeaders.0/${header.path}`, size: body.length }, 'x');
  return Buffer.concat([before, body, tarPadding(body.length), block]);
}

const NOTHING = { mode: 0, uid: 0, gid: 0, mtime: 0, linkTarget: '', devMajor: 0, devMinor: 0 } as const;

function recordsOf(header: TarHeader): readonly (readonly [string, string | Uint8Array])[] {
  const { path, linkTarget, size, uid, gid, mtime, xattrs } = header;
  const exceeding = (keyword: string, value: number, most: number) =>
    value > most ? [[keyword, String(value)] as const] : [];
  return [
    ...(isPlain(path) ? [] : [['path', path] as const]),
    ...(isPlain(linkTarget) ? [] : [['linkpath', linkTarget] as const]),
    ...exceeding('size', size, MAX_LONG),
    ...exceeding('uid', uid, MAX_SHORT),
    ...exceeding('gid', gid, MAX_SHORT),
    ...(fits(mtime, MAX_LONG) ? [] : [['mtime', seconds(mtime)] as const]),
    ...[...(xattrs ?? [])].map(([name, value]) => [`SCHILY.xattr.${name}`, value] as const),
  ];
}

/** To the nanosecond, without an exponent. */
function seconds(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(9).replace(/0+$/, '').replace(/\.$/, '');
}

function fits(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

function isPlain(text: string): boolean {
  return text.length <= NAME_BYTES && /^[\x20-\x7e]*$/.test(text);
}

function asBytes(value: string | Uint8Array): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : asBuffer(value);
}

/** `LENGTH KEYWORD=VALUE\n`, where the length counts its own digits. */
function paxRecord(keyword: Buffer, value: Buffer): Buffer {
  const rest = keyword.length + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length > length) length += 1;
  return Buffer.concat([Buffer.from(`${length} `), keyword, Buffer.from('='), value, Buffer.from('\n')]);
}

/** A header block. What does not fit a field is cut short or zero there: its record counts. */
function ustar(header: Omit<TarHeader, 'type' | 'xattrs'>, flag: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const text = (value: string, start: number): void => {
    block.write(value.replace(/[^\x20-\x7e]/g, '').slice(0, NAME_BYTES), start, 'latin1');
  };
  const octal = (value: number, start: number, length: number): void => {
    const digits = (fits(value, 8 ** (length - 1) - 1) ? value : 0).toString(8);
    block.write(digits.padStart(length - 1, '0'), start, 'latin1');
  };
  text(header.path, 0);
  octal(header.mode, 100, 8);
  octal(header.uid, 108, 8);
  octal(header.gid, 116, 8);
  octal(header.size, 124, 12);
  octal(header.mtime, 136, 12);
  block.write(flag, 156, 'latin1');
  text(header.linkTarget, 157);
  block.write('ustar\x0000', 257, 'latin1');
  octal(header.devMajor, 329, 8);
  octal(header.devMinor, 337, 8);
  // The checksum is taken with its own field read as spaces.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
