import { OciError } from '../errors.ts';

/** The records of a PAX extended header that change an entry (POSIX.1-2017, pax, "pax Extended Header"). */
export interface PaxRecords {
  readonly path?: Uint8Array;
  readonly linkpath?: Uint8Array;
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

const XATTR_PREFIX = 'SCHILY.xattr.';
const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

/**
 * Reads `LENGTH KEYWORD=VALUE\n` records. Values stay bytes: an extended attribute is seldom
 * text. An empty value takes a record back. Keywords that mean nothing to a layer are passed over.
 */
export function parsePax(data: Buffer, where: string): PaxRecords {
  const records: { -readonly [Key in keyof PaxRecords]: PaxRecords[Key] } = {};
  const xattrs = new Map<string, Uint8Array>();
  for (let at = 0; at < data.length; ) {
    const { keyword, value, end } = parseRecord(data, at, where);
    at = end;
    if (keyword.startsWith('GNU.sparse.')) throw sparse(where);
    if (keyword.startsWith(XATTR_PREFIX)) {
      // Copied: the record's buffer is a part of a much larger chunk.
      xattrs.set(keyword.slice(XATTR_PREFIX.length), Uint8Array.from(value));
      continue;
    }
    switch (keyword) {
      case 'path':
      case 'linkpath':
        if (value.length === 0) delete records[keyword];
        else records[keyword] = Uint8Array.from(value);
        break;
      case 'size':
      case 'uid':
      case 'gid':
        if (value.length === 0) delete records[keyword];
        else records[keyword] = decimal(value, /^[0-9]{1,16}$/, keyword, where);
        break;
      case 'mtime':
        if (value.length === 0) delete records.mtime;
        else records.mtime = decimal(value, /^-?[0-9]{1,16}(?:\.[0-9]{0,32})?$/, keyword, where);
        break;
      default:
        break;
    }
  }
  return xattrs.size === 0 ? records : { ...records, xattrs };
}

/** The refusal of sparse files, whose bodies are shorter than the files: no image builder writes them. */
export function sparse(where: string): OciError {
  return new OciError(
    'InvalidTar',
    `${where}: sparse files are not supported; write the archive without --sparse`,
  );
}

function parseRecord(
  data: Buffer,
  start: number,
  where: string,
): { readonly keyword: string; readonly value: Buffer; readonly end: number } {
  const space = data.indexOf(SPACE, start);
  const digits = space < 0 || space - start > 9 ? '' : data.toString('latin1', start, space);
  const end = start + Number(digits);
  if (!/^[1-9][0-9]*$/.test(digits) || end > data.length || data[end - 1] !== NEWLINE || end - 1 <= space) {
    throw new OciError(
      'InvalidTar',
      `${where}: the PAX record at byte ${start} of its header has no valid length`,
    );
  }
  const equals = data.indexOf(EQUALS, space + 1);
  if (equals < 0 || equals >= end - 1 || equals === space + 1) {
    throw new OciError(
      'InvalidTar',
      `${where}: the PAX record at byte ${start} of its header is not KEYWORD=VALUE`,
    );
  }
  return {
    keyword: data.toString('utf8', space + 1, equals),
    value: data.subarray(equals + 1, end - 1),
    end,
  };
}

function decimal(value: Buffer, form: RegExp, keyword: string, where: string): number {
  const text = value.toString('latin1', 0, Math.min(value.length, 64));
  const number = Number(text);
  if (!form.test(text) || Math.abs(number) > Number.MAX_SAFE_INTEGER) {
    throw new OciError(
      'InvalidTar',
      `${where}: the PAX record "${keyword}" is not a number that can be used`,
    );
  }
  return number;
}
