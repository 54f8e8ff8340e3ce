import { CodedError, messageOf } from '../errors.ts';
import { InitramfsError } from '../initramfs/error.ts';
import type { ByteSum, MemberSum } from '../initramfs/member.ts';
import { OciError } from '../oci/errors.ts';
import type { LayerLimits } from '../oci/layer.ts';
import type { IndexedTarEntry } from '../oci/tar/entry.ts';
import type { Descriptor, Digest } from '../oci/types.ts';
import type { SizedFile } from './file-chunks.ts';
import type { PartTask } from './part-file.ts';

/** A layer to be uncompressed into an open file; its blob follows in chunks. */
export interface LayerTask {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** Number of the file that the archive goes to, from its beginning. */
  readonly file: number;
  readonly limits: LayerLimits | undefined;
}

/** Files to be written one after another to a new one. */
export interface JoinTask {
  readonly path: string;
  readonly files: readonly SizedFile[];
}

/** What a build's thread is told. `id` is the task's; buffers change hands, they are never copied. */
export type ThreadRequest =
  | { readonly kind: 'part'; readonly id: number; readonly task: PartTask }
  | { readonly kind: 'layer'; readonly id: number; readonly task: LayerTask }
  | { readonly kind: 'join'; readonly id: number; readonly task: JoinTask }
  | { readonly kind: 'chunk'; readonly id: number; readonly buffer: ArrayBuffer; readonly length: number }
  | { readonly kind: 'end'; readonly id: number }
  | { readonly kind: 'abandon'; readonly id: number };

/** What it answers. A buffer that comes back may be filled again. */
export type ThreadAnswer =
  | { readonly kind: 'part'; readonly id: number; readonly sum: MemberSum }
  | {
      readonly kind: 'layer';
      readonly id: number;
      readonly entries: readonly IndexedTarEntry[];
      readonly size: number;
    }
  | { readonly kind: 'join'; readonly id: number; readonly sum: ByteSum }
  | { readonly kind: 'buffer'; readonly id: number; readonly buffer: ArrayBuffer }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: ThreadFailure };

/** An error as plain data: classes do not survive the way between threads. */
export interface ThreadFailure {
  readonly family: 'oci' | 'initramfs' | 'other';
  readonly message: string;
  readonly code?: string;
}

export function failureOf(error: unknown): ThreadFailure {
  const message = messageOf(error);
  const code = error instanceof Error && 'code' in error ? { code: String(error.code) } : {};
  if (!(error instanceof CodedError)) return { family: 'other', message, ...code };
  const family = error instanceof OciError ? 'oci' : error instanceof InitramfsError ? 'initramfs' : 'other';
  return { family, message, ...code };
}

/** The error that {@link failureOf} was given, of its own class again. */
export function errorOf({ family, message, code = '' }: ThreadFailure): Error {
  switch (family) {
    case 'oci':
      return new OciError(code as OciError['code'], message);
    case 'initramfs':
      return new InitramfsError(code as InitramfsError['code'], message);
    case 'other':
      return Object.assign(new Error(message), code === '' ? {} : { code });
    default:
      return family satisfies never;
  }
}
