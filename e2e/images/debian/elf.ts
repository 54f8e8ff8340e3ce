import { type FileHandle, open } from 'node:fs/promises';

/** What a program or library wants of the dynamic linker (System V ABI, "Dynamic Linking"). */
export interface DynamicNeeds {
  /** Path of the dynamic linker, for programs. */
  readonly interpreter?: string;
  /** DT_NEEDED names, in order. */
  readonly libraries: readonly string[];
}

type Read = (offset: number, length: number) => Promise<Buffer>;

/** Longest string and table that is read, in bytes. */
const LIMIT = 1024 * 1024;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;

/** The needs of a file on disk; undefined if it is no 64-bit little-endian ELF file. */
export async function dynamicNeeds(path: string): Promise<DynamicNeeds | undefined> {
  const handle = await open(path, 'r');
  try {
    return await readNeeds(reader(handle));
  } finally {
    await handle.close();
  }
}

function reader(handle: FileHandle): Read {
  return async (offset, length) => {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(Math.min(length, LIMIT)),
      0,
      Math.min(length, LIMIT),
      offset,
    );
    return buffer.subarray(0, bytesRead);
  };
}

async function readNeeds(read: Read): Promise<DynamicNeeds | undefined> {
  const header = await read(0, 64);
  if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) {
    return undefined;
  }
  const entrySize = header.readUInt16LE(54);
  const count = header.readUInt16LE(56);
  const table = await read(Number(header.readBigUInt64LE(32)), entrySize * count);
  const segments = Array.from({ length: count }, (_, index) => {
    const at = index * entrySize;
    return {
      type: table.readUInt32LE(at),
      offset: Number(table.readBigUInt64LE(at + 8)),
      address: Number(table.readBigUInt64LE(at + 16)),
      size: Number(table.readBigUInt64LE(at + 32)),
    };
  });
  const interpreterSegment = segments.find((segment) => segment.type === PT_INTERP);
  const interpreter =
    interpreterSegment === undefined
      ? undefined
      : text(await read(interpreterSegment.offset, interpreterSegment.size));
  const libraries: string[] = [];
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  if (dynamic !== undefined) {
    const { names, strings } = dynamicTable(await read(dynamic.offset, dynamic.size));
    const load = segments.find(
      (segment) =>
        segment.type === PT_LOAD && strings >= segment.address && strings < segment.address + segment.size,
    );
    if (load !== undefined) {
      const base = strings - load.address + load.offset;
      for (const name of names) libraries.push(text(await read(base + name, 256)));
    }
  }
  return interpreter === undefined ? { libraries } : { interpreter, libraries };
}

function dynamicTable(bytes: Buffer): { names: readonly number[]; strings: number } {
  const names: number[] = [];
  let strings = 0;
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const tag = bytes.readBigInt64LE(at);
    const value = Number(bytes.readBigUInt64LE(at + 8));
    if (tag === 0n) break;
    if (tag === DT_NEEDED) names.push(value);
    if (tag === DT_STRTAB) strings = value;
  }
  return { names, strings };
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}
