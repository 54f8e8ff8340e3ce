import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setInterval } from 'node:timers/promises';
import type { Finding } from './campaign.ts';
import { CURRENT_HEADER, type WorkerOrder, type WorkerReport } from './worker.ts';

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
/** Of the heap, in MiB: parsers of small inputs need far less. */
const HEAP_LIMIT = 256;
/** Bytes that the process may have in memory, heap and buffers together. */
const MEMORY_LIMIT = 1024 * 1024 * 1024;
const PAGE_BYTES = 4096;
/** What is kept of what a process says before it dies, in characters. */
const LAST_WORDS = 4000;

/**
 * Runs a campaign in a process and watches it: a parser that does not come back, takes too much
 * memory or brings the process down is ended and becomes a finding like any other, with its input.
 */
export async function runWatched(run: WatchedRun): Promise<WorkerReport> {
  const folder = await mkdtemp(join(tmpdir(), 'fuzz-run-'));
  const { target, seed, duration, module } = run;
  const current = join(folder, 'current');
  const order: WorkerOrder = { target, seed, duration, current, ...(module === undefined ? {} : { module }) };
  const child = fork(new URL('./worker.ts', import.meta.url), [JSON.stringify(order)], {
    execArgv: [`--max-old-space-size=${HEAP_LIMIT}`],
    // Buffers stay buffers on the way.
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const ended = new AbortController();
  const ending = ends(child).finally(() => ended.abort());
  ending.catch(() => undefined);
  try {
    const signal = AbortSignal.any([ended.signal, run.signal]);
    const trouble = await watch(child, current, run.patience ?? PATIENCE, signal);
    run.signal.throwIfAborted();
    const end = trouble ?? (await ending);
    if ('inputs' in end) return end;
    const { inputs, input } = await readCurrent(current);
    // Whatever ends it before the first input is no parser's fault.
    if (inputs === 0) throw new Error(`the process for ${target} came to nothing: ${end.message}`);
    return { inputs, finding: { target, ...end, input } };
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

type Trouble = Pick<Finding, 'kind' | 'message'>;

/** What a process reported, or how it died instead. */
async function ends(child: ChildProcess): Promise<WorkerReport | Trouble> {
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-LAST_WORDS);
  });
  let report: WorkerReport | undefined;
  child.on('message', (message) => {
    report = message as WorkerReport;
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | NodeJS.Signals | null>();
  child.once('error', reject);
  child.once('close', (code, signal) => resolve(code ?? signal));
  const status = await promise;
  if (report !== undefined) return report;
  if (words.includes('heap out of memory'))
    return { kind: 'memory', message: `more than ${HEAP_LIMIT} MiB of heap` };
  return { kind: 'crash', message: `the process ended with ${status}: ${words}` };
}

/** Looks at a process until it has ended; what is wrong with it, if something is. */
async function watch(
  child: ChildProcess,
  current: string,
  patience: number,
  signal: AbortSignal,
): Promise<Trouble | undefined> {
  let last = -1;
  let since = performance.now();
  try {
    for await (const _ of setInterval(LOOK_EVERY, undefined, { signal })) {
      const now = performance.now();
      const { inputs } = await readCurrent(current);
      if (inputs !== last) [last, since] = [inputs, now];
      // Before the first input the process only loads its program.
      const most = inputs === 0 ? START_PATIENCE : patience;
      if (now - since > most) return { kind: 'hang', message: `no end within ${most / 1000} s` };
      const memory = await residentBytes(child.pid);
      if (memory > MEMORY_LIMIT)
        return { kind: 'memory', message: `${Math.round(memory / 2 ** 20)} MiB of memory` };
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return undefined;
}

async function readCurrent(path: string): Promise<{ readonly inputs: number; readonly input: Buffer }> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  if (bytes.length < CURRENT_HEADER) return { inputs: 0, input: Buffer.alloc(0) };
  const length = bytes.readUInt32LE(4);
  return { inputs: bytes.readUInt32LE(0), input: bytes.subarray(CURRENT_HEADER, CURRENT_HEADER + length) };
}

/** Of a process that may have ended (proc(5), statm). */
async function residentBytes(pid: number | undefined): Promise<number> {
  const text = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '');
  return Number(text.split(' ')[1] ?? 0) * PAGE_BYTES;
}
