/**
 * The "new ASCII" cpio format as the kernel reads it (Documentation/driver-api/early-userspace/buffer-format.rst):
 * a header of 110 characters, the name with a NUL, padding to 4, the data, padding to 4.
 */
export const MAGIC = '070701';
export const HEADER_SIZE = 110;
/** The name that ends an archive. The kernel forgets the hard links it knows when it meets it. */
export const TRAILER = 'TRAILER!!!';

export const FILE_TYPE = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
} as const;
export const FILE_TYPE_MASK = 0o170000;

/** The largest file: its size is eight hex digits. */
export const MAX_FILE_SIZE = 0xffff_ffff;
/** uid and gid −1 mean "leave as it is" to chown(2), so the kernel would silently keep root. */
export const MAX_OWNER = 0xffff_fffe;
/** PATH_MAX and NAME_MAX of the kernel, which skips longer names without a word; bytes without the NUL. */
export const MAX_PATH = 4095;
export const MAX_NAME = 255;
/** Device numbers have 12 and 20 bits (linux/kdev_t.h). */
export const MAX_MAJOR = 0xfff;
export const MAX_MINOR = 0xf_ffff;

/** The numeric fields of a header, in their order; c_magic and c_check are constant. */
export interface Header {
  readonly ino: number;
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly mtime: number;
  readonly filesize: number;
  readonly devmajor: number;
  readonly devminor: number;
  readonly rdevmajor: number;
  readonly rdevminor: number;
  /** Bytes of the name with its NUL. */
  readonly namesize: number;
}

/** A number rounded up to the next multiple of 4. */
export function align4(size: number): number {
  return size + ((4 - (size % 4)) % 4);
}

/** Bytes that an entry takes: header, name and data, each part padded. `nameBytes` without the NUL. */
export function recordSize(nameBytes: number, filesize: number): number {
  return align4(HEADER_SIZE + nameBytes + 1) + align4(filesize);
}

/** Writes the {@link HEADER_SIZE} characters of a header. Every field must fit 32 bits; the caller has checked that. */
export function writeHeader(bytes: Uint8Array, at: number, header: Header): void {
  for (let digit = 0; digit < MAGIC.length; digit += 1) bytes[at + digit] = MAGIC.charCodeAt(digit);
  writeHex(bytes, at + 6, header.ino);
  writeHex(bytes, at + 14, header.mode);
  writeHex(bytes, at + 22, header.uid);
  writeHex(bytes, at + 30, header.gid);
  writeHex(bytes, at + 38, header.nlink);
  writeHex(bytes, at + 46, header.mtime);
  writeHex(bytes, at + 54, header.filesize);
  writeHex(bytes, at + 62, header.devmajor);
  writeHex(bytes, at + 70, header.devminor);
  writeHex(bytes, at + 78, header.rdevmajor);
  writeHex(bytes, at + 86, header.rdevminor);
  writeHex(bytes, at + 94, header.namesize);
  writeHex(bytes, at + 102, 0);
}

/** Eight hex digits, by hand: an archive has tens of thousands of headers, and strings take most of its time. */
function writeHex(bytes: Uint8Array, at: number, value: number): void {
  for (let digit = 7, rest = value; digit >= 0; digit -= 1, rest >>>= 4) {
    const nibble = rest & 0xf;
    bytes[at + digit] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble;
  }
}

const HEADER_PATTERN = /^07070[12][0-9a-fA-F]{104}$/;

/** Reads a header of {@link HEADER_SIZE} bytes at `offset`; undefined when there is none. */
export function parseHeader(bytes: Buffer, offset: number): Header | undefined {
  const text = bytes.toString('latin1', offset, offset + HEADER_SIZE);
  if (!HEADER_PATTERN.test(text)) return undefined;
  const field = (index: number): number => Number.parseInt(text.slice(6 + index * 8, 14 + index * 8), 16);
  return {
    ino: field(0),
    mode: field(1),
    uid: field(2),
    gid: field(3),
    nlink: field(4),
    mtime: field(5),
    filesize: field(6),
    devmajor: field(7),
    devminor: field(8),
    rdevmajor: field(9),
    rdevminor: field(10),
    namesize: field(11),
  };
}
