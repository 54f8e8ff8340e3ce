import { limitExceeded, OciError, quotePath } from '../errors.ts';
import { BLOCK_BYTES } from './block.ts';
import type { TarHeader } from './entry.ts';
import { decodeText, parseHeader, type RawHeader, type RecordKind } from './header.ts';
import type { TarLimits } from './limits.ts';
import { type PaxRecords, parsePax } from './pax.ts';

/** What follows a header block: the end, a record to hand to `record`, or an entry whose body follows. */
export type DecodedBlock =
  | { readonly kind: 'end' }
  | { readonly kind: 'record'; readonly size: number }
  | { readonly kind: 'entry'; readonly header: TarHeader };

/**
 * Makes entries of header blocks and records, and holds the archive to its limits. It reads
 * nothing itself, so that an archive may be pushed or pulled through it.
 *
 * Where readers differ, this one does as Go's archive/tar, by which container engines unpack: a
 * GNU long name wins over PAX, a PAX size counts for the body, links and directories have no body
 * whatever their size says, global PAX headers change nothing, an archive may end without its two
 * blocks of zeros, and what comes after them is ignored.
 */
export class TarDecoder {
  readonly #limits: TarLimits;
  readonly #name: string;
  #headers = 0;
  #metadataBytes = 0;
  #pending: RecordKind | undefined;
  #pax: PaxRecords = {};
  #path: string | undefined;
  #linkTarget: string | undefined;

  /** `name` says in messages which archive it is. */
  constructor(name: string, limits: TarLimits) {
    this.#name = name;
    this.#limits = limits;
  }

  /** Takes the header block that lies at `offset` of the archive. */
  header(block: Buffer, offset: number): DecodedBlock {
    const where = `${this.#name}, at byte ${offset}`;
    const raw = parseHeader(block, where);
    if (raw === undefined) return { kind: 'end' };
    if (++this.#headers > this.#limits.maxTarHeaders) {
      throw limitExceeded('maxTarHeaders', this.#limits.maxTarHeaders, this.#name);
    }
    switch (raw.kind) {
      case 'pax':
      case 'pax-global':
      case 'gnu-path':
      case 'gnu-link':
        if (raw.size < 0) throw new OciError('InvalidTar', `${where}: a record of negative size`);
        if (raw.size > this.#limits.maxTarRecordBytes) {
          throw limitExceeded('maxTarRecordBytes', this.#limits.maxTarRecordBytes, where);
        }
        this.#pending = raw.kind;
        return { kind: 'record', size: raw.size };
      default:
        return { kind: 'entry', header: this.#entry(raw, raw.kind, offset, where) };
    }
  }

  /** Takes the bytes of the record that the last header announced. */
  record(bytes: Buffer): void {
    switch (this.#pending) {
      case 'pax':
        this.#pax = parsePax(bytes, this.#name);
        break;
      case 'gnu-path':
        this.#path = this.#gnuText(bytes);
        break;
      case 'gnu-link':
        this.#linkTarget = this.#gnuText(bytes);
        break;
      case 'pax-global':
      case undefined:
        break;
    }
    this.#pending = undefined;
  }

  /** Call where the archive ends: before its first block of zeros or at its last byte. */
  end(): void {
    if (this.#path !== undefined || this.#linkTarget !== undefined || Object.keys(this.#pax).length > 0) {
      throw new OciError('InvalidTar', `${this.#name}: ends after a record that describes an entry`);
    }
  }

  #gnuText(bytes: Buffer): string {
    const nul = bytes.indexOf(0);
    return decodeText(nul < 0 ? bytes : bytes.subarray(0, nul), this.#name);
  }

  #entry(raw: RawHeader, kind: TarHeader['type'], offset: number, where: string): TarHeader {
    const pax = this.#pax;
    const path = this.#path ?? this.#paxText(pax.path, where) ?? raw.path;
    const linked = kind === 'symlink' || kind === 'hardlink';
    const linkTarget = linked
      ? (this.#linkTarget ?? this.#paxText(pax.linkpath, where) ?? raw.linkTarget)
      : '';
    this.#pax = {};
    this.#path = undefined;
    this.#linkTarget = undefined;

    const type = kind === 'file' && raw.old && path.endsWith('/') ? 'directory' : kind;
    const size = type === 'file' ? (pax.size ?? raw.size) : 0;
    if (size < 0) throw new OciError('InvalidTar', `${where}: ${quotePath(path)} has a negative size`);
    if (offset + BLOCK_BYTES + size > this.#limits.maxTarBytes) {
      throw limitExceeded('maxTarBytes', this.#limits.maxTarBytes, where);
    }
    this.#account(path, linkTarget, pax.xattrs, where);
    if (path.includes('\0') || linkTarget.includes('\0')) {
      throw new OciError('UnsafePath', `${where}: ${quotePath(path)} or its link target holds a NUL`);
    }
    return {
      path,
      type,
      mode: raw.mode,
      uid: id(pax.uid ?? raw.uid, 'uid', path, where),
      gid: id(pax.gid ?? raw.gid, 'gid', path, where),
      mtime: pax.mtime ?? raw.mtime,
      size,
      linkTarget,
      devMajor: raw.devMajor,
      devMinor: raw.devMinor,
      ...(pax.xattrs !== undefined && { xattrs: pax.xattrs }),
    };
  }

  #paxText(bytes: Uint8Array | undefined, where: string): string | undefined {
    return bytes === undefined
      ? undefined
      : decodeText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), where);
  }

  #account(path: string, linkTarget: string, xattrs: PaxRecords['xattrs'], where: string): void {
    const { maxTarPathBytes, maxTarMetadataBytes } = this.#limits;
    for (const name of [path, linkTarget]) {
      const bytes = name.length > maxTarPathBytes / 3 ? Buffer.byteLength(name) : name.length;
      if (bytes > maxTarPathBytes) throw limitExceeded('maxTarPathBytes', maxTarPathBytes, where);
      this.#metadataBytes += bytes;
    }
    if (xattrs !== undefined) {
      for (const [key, value] of xattrs) this.#metadataBytes += key.length + value.length;
    }
    if (this.#metadataBytes > maxTarMetadataBytes) {
      throw limitExceeded('maxTarMetadataBytes', maxTarMetadataBytes, this.#name);
    }
  }
}

function id(value: number, field: string, path: string, where: string): number {
  if (value >= 0 && value <= 0xff_ff_ff_ff) return value;
  throw new OciError(
    'InvalidTar',
    `${where}: the ${field} of ${quotePath(path)} is not between 0 and 4294967295`,
  );
}
