import { setInterval } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Finding } from './campaign.ts';
import { MAX_INPUT } from './mutate.ts';
import type { WorkerOrder, WorkerReport } from './worker.ts';

/** How a parser is run. */
export interface WatchedRun {
  readonly target: string;
  readonly seed: number;
  /** Milliseconds. */
  readonly duration: number;
  readonly signal: AbortSignal;
  readonly module?: string;
  /** Milliseconds that one input may take by the clock, however busy the machine is. */
  readonly patience?: number;
}

const PATIENCE = 30_000;
const START_PATIENCE = 120_000;
const LOOK_EVERY = 100;
/** Of a thread's own heap, in MiB: parsers of small inputs need far less. */
const HEAP_LIMIT = 256;
/** Bytes by which the process may grow, heaps and buffers together. */
const GROWTH_LIMIT = 1024 * 1024 * 1024;

/**
 * Runs a campaign in a thread and watches it: a parser that does not come back, or takes too much
 * memory, is ended and becomes a finding like any other, with the input that it was given.
 */
export async function runWatched(run: WatchedRun): Promise<WorkerReport> {
  const { target, seed, duration, module, patience = PATIENCE } = run;
  const progress = new SharedArrayBuffer(8);
  const current = new SharedArrayBuffer(MAX_INPUT);
  const order: WorkerOrder = {
    target,
    seed,
    duration,
    progress,
    current,
    ...(module === undefined ? {} : { module }),
  };
  const before = process.memoryUsage.rss();
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT },
  });
  const ended = new AbortController();
  const report = new Promise<WorkerReport>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread ended with ${code} and no report`)));
  });
  report.then(
    () => ended.abort(),
    () => ended.abort(),
  );
  const counters = new Int32Array(progress);
  const stopped = (kind: Finding['kind'], message: string): WorkerReport => {
    const length = Atomics.load(counters, 1);
    const input = Buffer.from(new Uint8Array(current).slice(0, length));
    return { inputs: Atomics.load(counters, 0), finding: { target, kind, message, input } };
  };
  try {
    const trouble = await watch(counters, {
      patience,
      before,
      signal: AbortSignal.any([ended.signal, run.signal]),
    });
    run.signal.throwIfAborted();
    if (trouble !== undefined) return stopped(...trouble);
    const { inputs, finding } = await report;
    // A buffer arrives as a plain array of bytes.
    return finding === undefined
      ? { inputs }
      : { inputs, finding: { ...finding, input: Buffer.from(finding.input) } };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY')
      return stopped('memory', `more than ${HEAP_LIMIT} MiB of heap`);
    throw error;
  } finally {
    await worker.terminate();
  }
}

/** Looks at a thread until it has ended; what is wrong with it, if something is. */
async function watch(
  counters: Int32Array<SharedArrayBuffer>,
  options: { readonly patience: number; readonly before: number; readonly signal: AbortSignal },
): Promise<readonly ['hang' | 'memory', string] | undefined> {
  let last = -1;
  let since = performance.now();
  try {
    for await (const _ of setInterval(LOOK_EVERY, undefined, { signal: options.signal })) {
      const now = performance.now();
      const count = Atomics.load(counters, 0);
      if (count !== last) [last, since] = [count, now];
      // Before the first input the thread only loads its program.
      const patience = count === 0 ? START_PATIENCE : options.patience;
      if (now - since > patience) return ['hang', `no end within ${patience / 1000} s`];
      const growth = process.memoryUsage.rss() - options.before;
      if (growth > GROWTH_LIMIT)
        return ['memory', `the process has grown by ${Math.round(growth / 2 ** 20)} MiB`];
    }
  } catch (error) {
    if (!options.signal.aborted) throw error;
  }
  return undefined;
}
