import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '../errors.ts';
import type { ByteSum } from '../initramfs/member.ts';
import { type BootLayer, bootLayerFrame, bootLayerSize } from '../oci/boot-image.ts';
import { sha256Digest } from '../oci/types.ts';
import type { AssemblyEnvironment } from './assembly-environment.ts';
import type { MemberCache } from './member-cache.ts';
import { createFile, type WorkFile } from './work-file.ts';

/** A run of bytes of an initrd that was compressed by itself, or microcode as it is. */
export interface InitrdPart {
  /** The bytes as they are in the initrd. */
  readonly stored: ByteSum;
  /** What they are uncompressed. */
  readonly archive: ByteSum;
  /** Where the bytes are; undefined for the cache, under their own sum. */
  readonly file?: WorkFile;
}

/** What one source gives, in the order in which the kernel meets it. */
export interface InitrdMember {
  /** LinuxKit's location name, `microcode`, or `files`. */
  readonly name: string;
  readonly parts: readonly InitrdPart[];
}

/** A part whose bytes are not what its record says, or are gone. */
export class DamagedPartError extends CodedError<'DamagedPart'> {
  readonly member: InitrdMember;
  readonly part: InitrdPart;

  constructor(member: InitrdMember, part: InitrdPart) {
    super('DamagedPart', `the bytes of ${member.name} with SHA-256 ${part.stored.sha256} are not there`);
    this.member = member;
    this.part = part;
  }
}

/** A whole initrd, and the layer that it becomes in the image that machines boot from. */
export interface JoinedInitrd {
  readonly initrd: WorkFile;
  readonly layer: BootLayer;
}

const READ_BYTES = 1024 * 1024;

/**
 * Joins members to one initrd. Sizes are known beforehand, so that one pass gives all sums. What comes from the cache is checked against its sum on the way; a
 * member of which the cache has lost a part, or has it damaged, is made anew by `remake`.
 */
export async function joinMembers(
  members: readonly InitrdMember[],
  remake: (damaged: DamagedPartError) => Promise<InitrdMember>,
  environment: Pick<AssemblyEnvironment, 'cache' | 'folder' | 'signal'>,
): Promise<JoinedInitrd & { readonly members: readonly InitrdMember[] }> {
  let current = members;
  for (let attempt = 0; ; attempt += 1) {
    const path = join(environment.folder, `initrd-${attempt}`);
    try {
      return { ...(await joinOnce(path, current, environment)), members: current };
    } catch (error) {
      const hopeless = attempt === members.length;
      if (!(error instanceof DamagedPartError) || error.part.file !== undefined || hopeless) throw error;
      await rm(path, { force: true });
      const fresh = await remake(error);
      current = current.map((member) => (member === error.member ? fresh : member));
    }
  }
}

async function joinOnce(
  path: string,
  members: readonly InitrdMember[],
  environment: Pick<AssemblyEnvironment, 'cache' | 'signal'>,
): Promise<JoinedInitrd> {
  const total = members.flatMap(({ parts }) => parts).reduce((sum, { stored }) => sum + stored.size, 0);
  const frame = bootLayerFrame('initrd.img', total);
  const whole = createHash('sha256');
  const layer = createHash('sha256').update(frame.header);
  await createFile(path, async (sink) => {
    for (const member of members) {
      for (const part of member.parts) {
        const stream = await openPart(part, environment.cache);
        if (stream === undefined) throw new DamagedPartError(member, part);
        // A file of the work folder was summed as it was written, by this process.
        const own = part.file === undefined ? createHash('sha256') : undefined;
        let partSize = 0;
        for await (const bytes of stream) {
          environment.signal.throwIfAborted();
          partSize += bytes.length;
          if (partSize > part.stored.size) throw new DamagedPartError(member, part);
          own?.update(bytes);
          whole.update(bytes);
          layer.update(bytes);
          await sink(bytes);
        }
        const sound = own === undefined || own.digest('hex') === part.stored.sha256;
        if (!sound || partSize !== part.stored.size) throw new DamagedPartError(member, part);
      }
    }
  });
  const digest = sha256Digest(layer.update(Buffer.alloc(frame.zeros)).digest('hex'));
  return {
    initrd: { path, size: total, sha256: whole.digest('hex') },
    layer: { file: 'initrd.img', digest, size: bootLayerSize(frame) },
  };
}

async function openPart(
  part: InitrdPart,
  cache: MemberCache | undefined,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  return part.file === undefined ? cache?.data(part.stored) : readFile(part.file.path);
}

/** The bytes of a file, in one buffer that is filled again and again. */
async function* readFile(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  await using file = await open(path);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
