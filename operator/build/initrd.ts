import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { CodedError } from '../errors.ts';
import type { ByteSum } from '../initramfs/member.ts';
import { type BootLayer, bootLayerFrame, bootLayerSize } from '../oci/boot-image.ts';
import { sha256Digest } from '../oci/types.ts';
import type { AssemblyEnvironment } from './assembly-environment.ts';
import { chunkBuffer, FileChangedError, fileChunks, type SizedFile } from './file-chunks.ts';
import type { WorkFile } from './work-file.ts';

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

/** Parts that are fetched from the cache at the same time, where it is not on this machine. */
const PARALLEL_FETCHES = 4;

type JoinEnvironment = Pick<AssemblyEnvironment, 'cache' | 'folder' | 'signal' | 'thread'>;

/**
 * Joins members to one initrd. What comes from the cache is checked against its sum; a member of which the
 * cache has lost a part, or has it damaged, is made anew by `remake`.
 */
export async function joinMembers(
  members: readonly InitrdMember[],
  remake: (damaged: DamagedPartError) => Promise<InitrdMember>,
  environment: JoinEnvironment,
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

/** A part whose bytes are in a file. */
interface LocalPart extends SizedFile {
  readonly member: InitrdMember;
  readonly part: InitrdPart;
  /** Whether the file is known to have the part's sum. */
  readonly verified: boolean;
  confirm(): Promise<void>;
}

/**
 * One thread writes the initrd and sums it; meanwhile this one reads the same files, checks what came from
 * the cache and was not verified there, and takes the sum of the layer. Summing is what costs here, and
 * the files are in memory.
 */
async function joinOnce(
  path: string,
  members: readonly InitrdMember[],
  environment: JoinEnvironment,
): Promise<JoinedInitrd> {
  const parts = await localParts(members, environment);
  const files = parts.map(({ path, size }) => ({ path, size }));
  const writing = environment.thread.join({ path, files });
  // What is wrong with a part is said by the sums; the writing has to be over before it is made anew.
  const [layer, written] = await Promise.allSettled([layerOf(parts, environment.signal), writing]);
  if (layer.status === 'rejected') throw layer.reason;
  if (written.status === 'rejected') throw written.reason;
  return { initrd: { path, ...written.value }, layer: layer.value };
}

async function localParts(
  members: readonly InitrdMember[],
  { cache, folder }: JoinEnvironment,
): Promise<readonly LocalPart[]> {
  const wanted = members.flatMap((member) => member.parts.map((part) => ({ member, part })));
  const found: LocalPart[] = [];
  const pending = [...wanted.entries()];
  const worker = async (): Promise<void> => {
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      const [at, { member, part }] = next;
      // A file of the work folder was summed as it was written, by this process.
      const own = part.file && { path: part.file.path, verified: true, confirm: async () => undefined };
      const file = own ?? (await cache?.file(part.stored, folder));
      if (file === undefined) throw new DamagedPartError(member, part);
      found[at] = { ...file, member, part, size: part.stored.size };
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_FETCHES }, worker));
  return found;
}

async function layerOf(parts: readonly LocalPart[], signal: AbortSignal): Promise<BootLayer> {
  const frame = bootLayerFrame(
    'initrd.img',
    parts.reduce((sum, { size }) => sum + size, 0),
  );
  const layer = createHash('sha256').update(frame.header);
  const buffer = chunkBuffer();
  for (const local of parts) {
    const { member, part } = local;
    const own = local.verified ? undefined : createHash('sha256');
    try {
      for (const bytes of fileChunks(local, buffer)) {
        own?.update(bytes);
        layer.update(bytes);
      }
    } catch (error) {
      throw error instanceof FileChangedError ? new DamagedPartError(member, part) : error;
    }
    if (own !== undefined) {
      if (own.digest('hex') !== part.stored.sha256) throw new DamagedPartError(member, part);
      await local.confirm();
    }
    // Others have a turn between two parts.
    await setImmediate();
    signal.throwIfAborted();
  }
  const digest = sha256Digest(layer.update(Buffer.alloc(frame.zeros)).digest('hex'));
  return { file: 'initrd.img', digest, size: bootLayerSize(frame) };
}
