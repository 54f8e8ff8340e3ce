import { DEFAULT_MTIME, type Entry } from './entry.ts';

/** Tar is written in records of this many bytes (POSIX.1-2017, pax, "ustar Interchange Format"). */
export const RECORD = 512;

const TYPE_FLAG: Readonly<Record<Entry['type'], string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

const DEFAULT_MODE: Readonly<Record<Entry['type'], number>> = {
  file: 0o644,
  hardlink: 0o644,
  symlink: 0o777,
  character: 0o644,
  block: 0o644,
  directory: 0o755,
  fifo: 0o644,
};

/**
 * The header of an entry whose content has `size` bytes: a ustar record, with a pax extended
 * header in front when a value does not fit it (names of more than 100 bytes or outside
 * ASCII, numbers of more than 7 or 11 octal digits), and for extended attributes.
 */
export function tarHeader(entry: Entry, size: number): Buffer {
  const path = entry.type === 'directory' ? `${entry.path}/` : entry.path;
  const target = entry.type === 'symlink' || entry.type === 'hardlink' ? entry.target : '';
  const uid = entry.uid ?? 0;
  const gid = entry.gid ?? 0;
  const records: Buffer[] = [];
  if (!fitsField(path)) records.push(paxRecord('path', path));
  if (!fitsField(target)) records.push(paxRecord('linkpath', target));
  if (size > 0o77777777777) records.push(paxRecord('size', String(size)));
  if (uid > 0o7777777) records.push(paxRecord('uid', String(uid)));
  if (gid > 0o7777777) records.push(paxRecord('gid', String(gid)));
  for (const [name, value] of Object.entries(entry.xattrs ?? {}))
    records.push(paxRecord(`SCHILY.xattr.${name}`, value));
  const header = ustar({
    path,
    target,
    uid,
    gid,
    size,
    mode: entry.mode ?? DEFAULT_MODE[entry.type],
    mtime: entry.mtime ?? DEFAULT_MTIME,
    flag: TYPE_FLAG[entry.type],
    major: entry.type === 'character' || entry.type === 'block' ? entry.major : 0,
    minor: entry.type === 'character' || entry.type === 'block' ? entry.minor : 0,
  });
  if (records.length === 0) return header;
  const body = Buffer.concat(records);
  const extended = ustar({
    path: 'PaxHeader',
    target: '',
    uid: 0,
    gid: 0,
    size: body.byteLength,
    mode: 0o644,
    mtime: entry.mtime ?? DEFAULT_MTIME,
    flag: 'x',
    major: 0,
    minor: 0,
  });
  return Buffer.concat([extended, body, padding(body.byteLength), header]);
}

/** Zero bytes up to the next record. */
export function padding(size: number): Buffer {
  return Buffer.alloc((RECORD - (size % RECORD)) % RECORD);
}

interface Fields {
  readonly path: string;
  readonly target: string;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mode: number;
  readonly mtime: number;
  readonly flag: string;
  readonly major: number;
  readonly minor: number;
}

function ustar(fields: Fields): Buffer {
  const header = Buffer.alloc(RECORD);
  header.write(fields.path, 0, 100, 'utf8');
  octal(header, 100, 8, fields.mode);
  octal(header, 108, 8, fields.uid);
  octal(header, 116, 8, fields.gid);
  octal(header, 124, 12, fields.size);
  octal(header, 136, 12, fields.mtime);
  header.write(fields.flag, 156, 1, 'latin1');
  header.write(fields.target, 157, 100, 'utf8');
  header.write('ustar\x0000', 257, 8, 'latin1');
  octal(header, 329, 8, fields.major);
  octal(header, 337, 8, fields.minor);
  // The checksum is taken with its own field read as spaces.
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return header;
}

/** Octal digits and a NUL. A number too large for the field is left 0: its pax record counts. */
function octal(header: Buffer, offset: number, width: number, value: number): void {
  const digits = value.toString(8).padStart(width - 1, '0');
  header.write(digits.length < width ? digits : '0'.repeat(width - 1), offset, width - 1, 'latin1');
}

function fitsField(text: string): boolean {
  return Buffer.byteLength(text) <= 100 && /^[\x20-\x7e]*$/.test(text);
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string | Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  const bytes = rest.byteLength;
  let length = bytes + String(bytes).length;
  if (bytes + String(length).length > length) length++;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
