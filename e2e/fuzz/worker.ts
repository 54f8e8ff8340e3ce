/** Runs one campaign in a thread of its own, so that whoever started it can end it whatever happens. */
import { setImmediate } from 'node:timers/promises';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { campaign, type Finding } from './campaign.ts';
import type { FuzzTarget } from './target.ts';
import { TARGETS } from './targets/all.ts';

/** What a thread is told. */
export interface WorkerOrder {
  readonly target: string;
  readonly seed: number;
  /** Milliseconds. */
  readonly duration: number;
  /** Where the thread leaves the number of inputs so far, and the length of the current one. */
  readonly progress: SharedArrayBuffer;
  /** Where it leaves the current input. */
  readonly current: SharedArrayBuffer;
  /** A module with further targets, for tests of the fuzzer itself. */
  readonly module?: string;
}

export interface WorkerReport {
  readonly inputs: number;
  readonly finding?: Finding;
}

/** Inputs. */
const YIELD_EVERY = 50;

if (!isMainThread) {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort?.postMessage(await work(workerData as WorkerOrder));
}

async function work(order: WorkerOrder): Promise<WorkerReport> {
  const target = await findTarget(order);
  const progress = new Int32Array(order.progress);
  const current = new Uint8Array(order.current);
  const end = performance.now() + order.duration;
  let inputs = 0;
  const watch = {
    before(input: Buffer) {
      current.set(input);
      Atomics.store(progress, 1, input.length);
      Atomics.store(progress, 0, (inputs += 1));
    },
    cpuSeconds: () => {
      const { user, system } = process.threadCpuUsage();
      return (user + system) / 1e6;
    },
  };
  for await (const finding of campaign(target, order.seed, watch)) {
    if (finding !== undefined) return { inputs, finding };
    if (performance.now() > end) break;
    // What zlib and others hold outside of the heap is let go of by tasks of the event loop.
    if (inputs % YIELD_EVERY === 0) await setImmediate();
  }
  return { inputs };
}

async function findTarget({ target: name, module }: WorkerOrder): Promise<FuzzTarget> {
  const more =
    module === undefined ? [] : ((await import(module)) as { TARGETS: readonly FuzzTarget[] }).TARGETS;
  const found = [...TARGETS, ...more].find((target) => target.name === name);
  if (found === undefined) throw new Error(`no target ${name}`);
  return found;
}
