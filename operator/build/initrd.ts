import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { CodedError } from '../errors.ts';
import type { ByteSum } from '../initramfs/member.ts';
import type { AssemblyEnvironment } from './assembly-environment.ts';
import type { MemberCache } from './member-cache.ts';
import { createFile, type WorkFile } from './work-file.ts';

/** One part of an initrd, in the order in which the kernel meets them. */
export interface InitrdPart {
  /** LinuxKit's location name, `microcode`, or `files`. */
  readonly name: string;
  /** The bytes as they are in the initrd. */
  readonly stored: ByteSum;
  /** What they are uncompressed. */
  readonly archive: ByteSum;
  /** Where the bytes are; undefined for the cache, under their own sum. */
  readonly file?: WorkFile;
}

/** A part whose bytes are not what its record says, or are gone. */
export class DamagedPartError extends CodedError<'DamagedPart'> {
  readonly part: InitrdPart;

  constructor(part: InitrdPart) {
    super('DamagedPart', `the bytes of ${part.name} are not those with SHA-256 ${part.stored.sha256}`);
    this.part = part;
  }
}

const READ_BYTES = 1024 * 1024;

/**
 * Joins the parts to one initrd. Every byte is checked against its part's sum on the way; a part that
 * the cache has lost or that is damaged there is made anew by `remake`.
 */
export async function joinParts(
  parts: readonly InitrdPart[],
  remake: (part: InitrdPart) => Promise<InitrdPart>,
  environment: Pick<AssemblyEnvironment, 'cache' | 'folder' | 'signal'>,
): Promise<{ readonly initrd: WorkFile; readonly parts: readonly InitrdPart[] }> {
  let current = parts;
  for (let attempt = 0; ; attempt += 1) {
    const path = join(environment.folder, `initrd-${attempt}`);
    try {
      return { initrd: await joinOnce(path, current, environment), parts: current };
    } catch (error) {
      if (!(error instanceof DamagedPartError) || error.part.file !== undefined || attempt === parts.length)
        throw error;
      await rm(path, { force: true });
      const fresh = await remake(error.part);
      current = current.map((part) => (part === error.part ? fresh : part));
    }
  }
}

async function joinOnce(
  path: string,
  parts: readonly InitrdPart[],
  environment: Pick<AssemblyEnvironment, 'cache' | 'signal'>,
): Promise<WorkFile> {
  const whole = createHash('sha256');
  let size = 0;
  await createFile(path, async (sink) => {
    for (const part of parts) {
      const stream = await openPart(part, environment.cache);
      if (stream === undefined) throw new DamagedPartError(part);
      const own = createHash('sha256');
      let partSize = 0;
      for await (const chunk of stream) {
        environment.signal.throwIfAborted();
        const bytes = chunk as Buffer;
        partSize += bytes.length;
        if (partSize > part.stored.size) throw new DamagedPartError(part);
        own.update(bytes);
        whole.update(bytes);
        await sink(bytes);
      }
      const sound = partSize === part.stored.size && own.digest('hex') === part.stored.sha256;
      if (!sound) throw new DamagedPartError(part);
      size += partSize;
    }
  });
  return { path, size, sha256: whole.digest('hex') };
}

async function openPart(part: InitrdPart, cache: MemberCache | undefined): Promise<Readable | undefined> {
  if (part.file === undefined) return cache?.data(part.stored);
  return createReadStream(part.file.path, { highWaterMark: READ_BYTES });
}
