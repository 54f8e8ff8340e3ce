import { Worker } from 'node:worker_threads';
import { InitramfsError, type InitramfsErrorCode } from '../initramfs/error.ts';
import type { MemberSum } from '../initramfs/member.ts';
import type { PartTask } from './part-file.ts';
import type { PartAnswer, PartRequest } from './part-worker.ts';

interface Pending {
  readonly resolve: (sum: MemberSum) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A thread that writes parts, several at the same time: libuv's pool compresses, the thread itself reads
 * and sums, and the main thread is free to pull. Begins with the first task.
 */
export class PartWriter implements AsyncDisposable {
  readonly #signal: AbortSignal;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #tasks = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Throws what writing throws, and the signal's reason when it is aborted. */
  async write(task: PartTask): Promise<MemberSum> {
    this.#signal.throwIfAborted();
    const worker = (this.#worker ??= this.#start());
    this.#tasks += 1;
    const id = this.#tasks;
    const written = new Promise<MemberSum>(
      (resolve, reject) => void this.#pending.set(id, { resolve, reject }),
    );
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage({ id, task } satisfies PartRequest);
    return written;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Worker {
    // In the bundle the thread's program lies beside the file that this is part of.
    const file = import.meta.url.endsWith('.ts') ? './part-worker.ts' : './part-worker.js';
    const worker = new Worker(new URL(file, import.meta.url));
    const cancel = (): void => void worker.terminate();
    this.#signal.addEventListener('abort', cancel, { once: true });
    worker.on('message', (answer: PartAnswer) => this.#answer(answer));
    worker.on('error', (error) => this.#rejectAll(error));
    worker.on('exit', (code) => {
      this.#signal.removeEventListener('abort', cancel);
      this.#rejectAll(
        this.#signal.aborted ? this.#signal.reason : new Error(`the compressing thread ended with ${code}`),
      );
    });
    return worker;
  }

  #answer(answer: PartAnswer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if ('sum' in answer) pending?.resolve(answer.sum);
    else pending?.reject(errorOf(answer.failure));
  }

  #rejectAll(error: unknown): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of all) reject(error);
  }
}

const INITRAMFS_CODES: ReadonlySet<string> = new Set<InitramfsErrorCode>([
  'ContentChanged',
  'Unrepresentable',
]);

function errorOf({ message, code }: { readonly message: string; readonly code?: string }): Error {
  if (code !== undefined && INITRAMFS_CODES.has(code))
    return new InitramfsError(code as InitramfsErrorCode, message);
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
