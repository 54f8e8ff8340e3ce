import { parentPort } from 'node:worker_threads';
import { CodedError, messageOf } from '../errors.ts';
import type { MemberSum } from '../initramfs/member.ts';
import { type PartTask, writePartFile } from './part-file.ts';

/** What a worker is asked, and what it answers; `id` tells which answer is whose. */
export interface PartRequest {
  readonly id: number;
  readonly task: PartTask;
}

export type PartAnswer =
  | { readonly id: number; readonly sum: MemberSum }
  | { readonly id: number; readonly failure: { readonly message: string; readonly code?: string } };

/** A thread that reads, sums and feeds the compressor, beside the one that pulls and plans. */
const port = parentPort;
// The thread is ended from outside when a build is cancelled.
const never = new AbortController().signal;

port?.on('message', ({ id, task }: PartRequest) => {
  void writePartFile(task, never).then(
    (sum) => port.postMessage({ id, sum } satisfies PartAnswer),
    (error: unknown) => port.postMessage({ id, failure: failureOf(error) } satisfies PartAnswer),
  );
});

function failureOf(error: unknown): { readonly message: string; readonly code?: string } {
  const message = messageOf(error);
  if (error instanceof CodedError) return { message, code: error.code };
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  return code === undefined ? { message } : { message, code };
}
