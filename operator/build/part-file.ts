import type { EntryRun, MemberDevice } from '../initramfs/archive.ts';
import type { MemberCompression } from '../initramfs/compressor.ts';
import { type MemberSum, writeMember } from '../initramfs/member.ts';
import { createFile } from './work-file.ts';

/** A part of a member to be written to a file: plain data, so that a worker can do it. */
export interface PartTask {
  readonly run: EntryRun;
  readonly device: MemberDevice;
  readonly trailer: boolean;
  readonly compression: MemberCompression;
  /** Of the new file. */
  readonly path: string;
}

/** Writes a part to its file and sums it. */
export function writePartFile({ run, path, ...options }: PartTask, signal: AbortSignal): Promise<MemberSum> {
  return createFile(path, (sink) => writeMember(run, { ...options, signal }, sink));
}
