import { writeSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { indexLayer } from '../oci/layer.ts';
import type { Spool } from '../oci/spool.ts';
import { joinFiles } from './file-chunks.ts';
import { writePartFile } from './part-file.ts';
import { failureOf, type LayerTask, type ThreadAnswer, type ThreadRequest } from './thread-protocol.ts';

/**
 * The program of a build's thread: uncompresses layers, writes parts and joins them, beside the
 * thread that talks to registries.
 */
const port = parentPort;
// The thread is ended from outside when a build is cancelled.
const never = new AbortController().signal;
const blobs = new Map<number, ChunkQueue>();

port?.on('message', (request: ThreadRequest) => {
  switch (request.kind) {
    case 'part':
      answer(request.id, async () => ({
        kind: 'part',
        id: request.id,
        sum: await writePartFile(request.task, never),
      }));
      break;
    case 'layer':
      answer(request.id, () => index(request.id, request.task));
      break;
    case 'join':
      answer(request.id, async () => {
        const { path, files } = request.task;
        return { kind: 'join', id: request.id, sum: joinFiles(path, files) };
      });
      break;
    case 'chunk':
      blobs.get(request.id)?.push(request);
      break;
    case 'end':
      blobs.get(request.id)?.end();
      break;
    case 'abandon':
      blobs.get(request.id)?.fail(new Error('the layer is not wanted any more'));
      break;
    default:
      request satisfies never;
  }
});

function answer(id: number, work: () => Promise<ThreadAnswer>): void {
  void work().then(send, (error: unknown) => send({ kind: 'failed', id, failure: failureOf(error) }));
}

function send(message: ThreadAnswer): void {
  const transfer = message.kind === 'buffer' ? [message.buffer] : [];
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  port?.postMessage(message, transfer);
}

async function index(id: number, { descriptor, diffId, file, limits }: LayerTask): Promise<ThreadAnswer> {
  const blob = new ChunkQueue((buffer) => send({ kind: 'buffer', id, buffer }));
  blobs.set(id, blob);
  try {
    const spool = new OpenFile(file);
    const { entries } = await indexLayer(descriptor, blob, diffId, spool, never, limits);
    return { kind: 'layer', id, entries, size: spool.size };
  } finally {
    blobs.delete(id);
  }
}

/** What is written to a file that another thread has opened. It goes to memory, so waiting for it is short. */
class OpenFile implements Spool {
  readonly descriptor: number;
  size = 0;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  async append(chunk: Uint8Array): Promise<void> {
    for (let written = 0; written < chunk.length; ) {
      const count = writeSync(this.descriptor, chunk, written, chunk.length - written, this.size);
      written += count;
      this.size += count;
    }
  }

  extend(size: number): void {
    this.size = size;
  }

  // oxlint-disable-next-line require-yield -- it is the thread that opened the file that reads it
  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    throw new Error('this end of the file is for writing');
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A blob that comes as messages. A chunk's buffer goes back when the next one is asked for. */
class ChunkQueue implements AsyncIterable<Uint8Array> {
  readonly #giveBack: (buffer: ArrayBuffer) => void;
  readonly #chunks: { readonly buffer: ArrayBuffer; readonly length: number }[] = [];
  #state: 'open' | 'ended' | Error = 'open';
  #wake: () => void = () => undefined;

  constructor(giveBack: (buffer: ArrayBuffer) => void) {
    this.#giveBack = giveBack;
  }

  push(chunk: { readonly buffer: ArrayBuffer; readonly length: number }): void {
    this.#chunks.push(chunk);
    this.#wake();
  }

  end(): void {
    this.#state = 'ended';
    this.#wake();
  }

  fail(error: Error): void {
    this.#state = error;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      if (this.#state instanceof Error) throw this.#state;
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        yield new Uint8Array(chunk.buffer, 0, chunk.length);
        this.#giveBack(chunk.buffer);
      } else if (this.#state === 'ended') return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
