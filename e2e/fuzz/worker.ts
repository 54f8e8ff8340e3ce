/** Runs one campaign in a process of its own, so that whoever started it can end it whatever happens. */
import { openSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { campaign, type Finding } from './campaign.ts';
import type { FuzzTarget } from './target.ts';
import { TARGETS } from './targets/all.ts';

/** What the process is told, as JSON in its argument. */
export interface WorkerOrder {
  readonly target: string;
  readonly seed: number;
  /** Milliseconds. */
  readonly duration: number;
  /** File in which it leaves the number of inputs so far, the length of the current one, and the input. */
  readonly current: string;
  /** A module with further targets, for tests of the fuzzer itself. */
  readonly module?: string;
}

/** What it sends in the end. */
export interface WorkerReport {
  readonly inputs: number;
  readonly finding?: Finding;
}

/** Bytes before the input: two numbers of 32 bits, little-endian. */
export const CURRENT_HEADER = 8;
/** Inputs. */
const YIELD_EVERY = 50;

if (import.meta.main) {
  const report = await work(JSON.parse(process.argv[2] ?? '{}') as WorkerOrder);
  process.send?.(report);
  process.disconnect();
}

async function work(order: WorkerOrder): Promise<WorkerReport> {
  const target = await findTarget(order);
  const file = openSync(order.current, 'w');
  const header = Buffer.alloc(CURRENT_HEADER);
  const end = performance.now() + order.duration;
  let inputs = 0;
  const watch = {
    before(input: Buffer) {
      inputs += 1;
      header.writeUInt32LE(inputs, 0);
      header.writeUInt32LE(input.length, 4);
      writeSync(file, Buffer.concat([header, input]), 0, CURRENT_HEADER + input.length, 0);
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
