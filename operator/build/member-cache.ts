import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { messageOf } from '../errors.ts';
import type { ByteSum } from '../initramfs/member.ts';
import { memberKey } from '../storage/layout.ts';
import {
  type ObjectReader,
  type ObjectSource,
  type ObjectStore,
  type ObjectWriter,
  StorageError,
} from '../storage/store.ts';
import type { ReportProgress } from './progress.ts';
import { sumOf } from './sum.ts';
import { copyToFile } from './work-file.ts';

/** A store that may be able to remove a damaged entry. */
export type CacheStore = ObjectReader & ObjectWriter & Partial<Pick<ObjectStore, 'delete'>>;

/** Records are read into memory: the index of a tree is the largest. */
const MAX_RECORD_BYTES = 64 * 1024 * 1024;

export interface CachedFile {
  readonly path: string;
  /** Whether the bytes are known to be those that were asked for. */
  readonly verified: boolean;
  /** Says that they were summed, and are. */
  confirm(): Promise<void>;
}

/**
 * What earlier builds made: small records under the hash of what determines them, and large data under
 * its own SHA-256. A cache is a convenience: whatever is wrong with it costs time, never the build, and
 * nothing that it gives is believed without its sum.
 */
export class MemberCache {
  readonly #store: CacheStore;
  readonly #report: ReportProgress;
  readonly #signal: AbortSignal;
  /** Records that were read, by key: a build asks for most of them more than once. */
  readonly #records = new Map<string, Promise<unknown>>();
  readonly #writing = new Set<Promise<void>>();

  constructor(store: CacheStore, options: { readonly report: ReportProgress; readonly signal: AbortSignal }) {
    this.#store = store;
    this.#report = options.report;
    this.#signal = options.signal;
  }

  /** The record under a key; undefined when there is none that is whole and that `parse` accepts. */
  async record<T>(key: string, parse: (value: unknown) => T | undefined): Promise<T | undefined> {
    const read = this.#records.get(key) ?? this.#read(key);
    this.#records.set(key, read);
    const found = await read;
    if (found === undefined) return undefined;
    const value = parse(found);
    if (value === undefined) await this.#discard(key);
    return value;
  }

  /** Stores a record and the data that it speaks of, data first, while the build goes on. See {@link settled}. */
  keep(key: string, value: unknown, data: readonly ObjectSource[]): void {
    const json = Buffer.from(JSON.stringify(value));
    const bytes = Buffer.concat([Buffer.from(`${sumOf(json).sha256}\n`), json]);
    const record = { ...sumOf(bytes), open: () => Readable.from([bytes]) };
    const writing = (async () => {
      for (const source of data) await this.#put(source.sha256, source);
      await this.#put(key, record);
    })();
    // Only a cancelled build makes it fail, and settled() says so.
    writing.catch(() => undefined);
    this.#writing.add(writing);
  }

  /** Waits until everything that is to be kept is stored. Throws when the build was cancelled before. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing);
  }

  async #read(key: string): Promise<unknown> {
    const bytes = await this.#quietly(`reading record ${key}`, async () => {
      const { info, body } = await this.#store.get(memberKey(key), { signal: this.#signal });
      if (info.size <= MAX_RECORD_BYTES) return buffer(body);
      body.destroy();
      return undefined;
    });
    if (bytes === undefined) return undefined;
    const value = checkedValue(bytes);
    if (value === undefined) await this.#discard(key);
    return value;
  }

  /**
   * The bytes with that sum as they arrive: the consumer checks them. Undefined when they are not
   * there. The consumer owns the stream.
   */
  async data(sum: ByteSum): Promise<Readable | undefined> {
    return this.#quietly(`reading ${sum.sha256}`, async () => {
      // A range, since stores verify whole objects and the consumer does so anyway.
      const range = { first: 0, last: sum.size - 1 };
      try {
        return (await this.#store.get(memberKey(sum.sha256), { signal: this.#signal, range })).body;
      } catch (error) {
        if (error instanceof RangeError) await this.damaged(sum);
        else throw error;
        return undefined;
      }
    });
  }

  /**
   * A file that should have the bytes of that sum: the store's own, or a copy in `folder`. `verified` where
   * they are known to be those: a copy is summed as it arrives, and a store can tell by the file system's
   * times that a file was not touched since it was summed. Undefined when they are not there.
   */
  async file(sum: ByteSum, folder: string): Promise<CachedFile | undefined> {
    const key = memberKey(sum.sha256);
    const own = await this.#quietly(`reading ${sum.sha256}`, async () => this.#store.localFile?.(key));
    if (own !== undefined) {
      const { path, sha256 } = own;
      const confirm = async (): Promise<void> => {
        await this.#quietly(`recording ${sum.sha256}`, () => own.confirm(sum.sha256));
      };
      return { path, verified: sha256 === sum.sha256, confirm };
    }
    const stream = await this.data(sum);
    if (stream === undefined) return undefined;
    return this.#quietly(`reading ${sum.sha256}`, async () => {
      const path = join(folder, `cached-${randomUUID()}`);
      const { sha256 } = await copyToFile(path, stream, this.#signal);
      return { path, verified: sha256 === sum.sha256, confirm: async () => undefined };
    });
  }

  /** Says that the bytes of that sum were damaged, so that they can be stored anew. */
  async damaged(sum: ByteSum): Promise<void> {
    this.#report({ kind: 'warning', message: `cache entry ${sum.sha256} is damaged; it is made anew` });
    await this.#discard(sum.sha256);
  }

  async #put(key: string, source: ObjectSource): Promise<void> {
    const options = { signal: this.#signal };
    await this.#quietly(`writing ${key}`, async () => {
      try {
        await this.#store.put(memberKey(key), source, options);
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== 'ObjectConflict') throw error;
        // What a key stands for is determined by the key: other bytes under it are damaged.
        await this.#store.delete?.([memberKey(key)], options);
        await this.#store.put(memberKey(key), source, options);
      }
    });
  }

  async #discard(key: string): Promise<void> {
    await this.#quietly(`removing ${key}`, async () =>
      this.#store.delete?.([memberKey(key)], { signal: this.#signal }),
    );
  }

  async #quietly<T>(what: string, action: () => Promise<T>): Promise<T | undefined> {
    try {
      return await action();
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!(error instanceof StorageError && error.code === 'ObjectNotFound')) {
        this.#report({ kind: 'warning', message: `cache: ${what}: ${messageOf(error)}` });
      }
      return undefined;
    }
  }
}

/** A record is the sum of a JSON document, a line feed, and the document. Undefined for anything else. */
function checkedValue(bytes: Buffer): unknown {
  const end = bytes.indexOf('\n');
  const json = bytes.subarray(end + 1);
  if (end < 0 || bytes.toString('latin1', 0, end) !== sumOf(json).sha256) return undefined;
  try {
    return JSON.parse(json.toString());
  } catch {
    return undefined;
  }
}
