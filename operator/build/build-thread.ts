import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { endsBuffer, freeBuffer } from '../buffer.ts';
import type { ByteSum, MemberSum } from '../initramfs/member.ts';
import type { LayerIndexer } from '../oci/layer.ts';
import type { PartTask } from './part-file.ts';
import { errorOf, type JoinTask, type ThreadAnswer, type ThreadRequest } from './thread-protocol.ts';

/** Bytes of a blob that are handed over at once, and how many such buffers a layer has under way. */
const BUFFER_BYTES = 512 * 1024;
const BUFFERS = 2;

/** A received chunk of fewer bytes may share its buffer with others, and is not worth being freed. */
const FREED_BYTES = 16 * 1024;

type Result = Extract<ThreadAnswer, { kind: 'part' | 'layer' | 'join' }>;

interface Task {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  /** Of a layer: buffers that may be filled, and whoever waits for one. */
  readonly buffers: ArrayBuffer[];
  wake: () => void;
}

/** The other end of a build's thread (thread.ts). */
export class BuildThread implements AsyncDisposable {
  readonly #signal: AbortSignal;
  readonly #tasks = new Map<number, Task>();
  readonly #worker: Worker;
  #count = 0;

  constructor(signal: AbortSignal) {
    signal.throwIfAborted();
    // In both threads: a build remembers what it reads of files, so room for what is young would only hold garbage.
    setFlagsFromString('--semi-space-growth-factor=1');
    this.#signal = signal;
    this.#worker = this.#start();
  }

  /** Writes a part to its file. Throws what writing throws, and the signal's reason when it is aborted. */
  async writePart(task: PartTask): Promise<MemberSum> {
    const { id, result } = this.#begin();
    this.#send({ kind: 'part', id, task });
    const answer = await result;
    if (answer.kind !== 'part') throw new Error(`the thread answered with a ${answer.kind}`);
    return answer.sum;
  }

  /** Writes files one after another to a new one. Throws what that throws, and the signal's reason when it is aborted. */
  async join(task: JoinTask): Promise<ByteSum> {
    const { id, result } = this.#begin();
    this.#send({ kind: 'join', id, task });
    const answer = await result;
    if (answer.kind !== 'join') throw new Error(`the thread answered with a ${answer.kind}`);
    return answer.sum;
  }

  /** Uncompresses, verifies and indexes a layer into its spool. */
  readonly indexLayer: LayerIndexer = async (descriptor, blob, diffId, spool, signal, limits) => {
    const { id, task, result } = this.#begin();
    // It may fail while chunks are still handed over.
    result.catch(() => undefined);
    task.buffers.push(...Array.from({ length: BUFFERS }, () => new ArrayBuffer(BUFFER_BYTES)));
    this.#send({ kind: 'layer', id, task: { descriptor, diffId, file: spool.descriptor, limits } });
    try {
      await this.#handOver(id, task, blob, signal);
    } catch (error) {
      this.#send({ kind: 'abandon', id });
      // The file may be closed only when nobody writes to it any more.
      await result.catch(() => undefined);
      throw error;
    }
    const answer = await result;
    if (answer.kind !== 'layer') throw new Error(`the thread answered with a ${answer.kind}`);
    spool.extend(answer.size);
    return { digest: descriptor.digest, diffId, entries: answer.entries, spool };
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  async #handOver(
    id: number,
    task: Task,
    blob: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    let target: Uint8Array | undefined;
    let used = 0;
    const flush = (): void => {
      if (target === undefined) return;
      this.#send({ kind: 'chunk', id, buffer: target.buffer as ArrayBuffer, length: used });
      target = undefined;
      used = 0;
    };
    for await (const chunk of blob) {
      for (let at = 0; at < chunk.length; ) {
        target ??= await this.#buffer(id, task, signal);
        // The thread has given up, and its answer says why.
        if (target === undefined) return;
        const part = chunk.subarray(at, at + BUFFER_BYTES - used);
        target.set(part, used);
        used += part.length;
        at += part.length;
        if (used === BUFFER_BYTES) flush();
      }
      freeReceived(chunk);
    }
    flush();
    this.#send({ kind: 'end', id });
  }

  /** An empty buffer, or undefined when the task is over. */
  async #buffer(id: number, task: Task, signal: AbortSignal): Promise<Uint8Array | undefined> {
    for (;;) {
      signal.throwIfAborted();
      if (!this.#tasks.has(id)) return undefined;
      const buffer = task.buffers.pop();
      if (buffer !== undefined) return new Uint8Array(buffer);
      await new Promise<void>((resolve) => {
        task.wake = resolve;
      });
    }
  }

  #begin(): { readonly id: number; readonly task: Task; readonly result: Promise<Result> } {
    this.#signal.throwIfAborted();
    this.#count += 1;
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const task: Task = { resolve, reject, buffers: [], wake: () => undefined };
    this.#tasks.set(this.#count, task);
    return { id: this.#count, task, result: promise };
  }

  #send(request: ThreadRequest): void {
    const transfer = request.kind === 'chunk' ? [request.buffer] : [];
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(request, transfer);
  }

  #start(): Worker {
    // In the bundle this is part of a subcommand, which lies in a folder of its own.
    const file = import.meta.url.endsWith('.ts') ? './thread.ts' : '../thread.js';
    const worker = new Worker(new URL(file, import.meta.url));
    const cancel = (): void => void worker.terminate();
    this.#signal.addEventListener('abort', cancel, { once: true });
    worker.on('message', (answer: ThreadAnswer) => this.#answer(answer));
    worker.on('error', (error) => this.#endAll(error));
    worker.on('exit', (code) => {
      this.#signal.removeEventListener('abort', cancel);
      this.#endAll(
        this.#signal.aborted ? this.#signal.reason : new Error(`the build's thread ended with ${code}`),
      );
    });
    return worker;
  }

  #answer(answer: ThreadAnswer): void {
    const task = this.#tasks.get(answer.id);
    if (task === undefined) return;
    if (answer.kind === 'buffer') {
      task.buffers.push(answer.buffer);
    } else {
      this.#tasks.delete(answer.id);
      if (answer.kind === 'failed') task.reject(errorOf(answer.failure));
      else task.resolve(answer);
    }
    task.wake();
  }

  #endAll(error: unknown): void {
    const tasks = [...this.#tasks.values()];
    this.#tasks.clear();
    for (const task of tasks) {
      task.reject(error);
      task.wake();
    }
  }
}

/** Frees a chunk that was copied, unless more of its buffer is still to be read: the garbage collector would let it lie. */
function freeReceived(chunk: Uint8Array): void {
  if (chunk.length >= FREED_BYTES && endsBuffer(chunk)) freeBuffer(chunk);
}
