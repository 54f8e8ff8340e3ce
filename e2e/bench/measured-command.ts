import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../process/run.ts';

/** What a command took: seconds, and bytes of memory that its largest process had at most. */
export interface Measurement {
  readonly wall: number;
  /** Of all processors, user and system together. */
  readonly cpu: number;
  readonly peakMemory: number;
}

/** Longest time for one command, in milliseconds. */
const DEADLINE = 900_000;

/** Runs a command as a whole process, and measures it from its start to its end. */
export async function measure(
  command: string,
  args: readonly string[],
  options: { readonly folder: string; readonly signal: AbortSignal },
): Promise<Measurement> {
  const report = join(options.folder, 'time');
  const begun = performance.now();
  await run('time', ['--format=%U %S %M', `--output=${report}`, command, ...args], {
    signal: options.signal,
    timeout: DEADLINE,
  });
  const wall = (performance.now() - begun) / 1000;
  const [user = 0, system = 0, kibibytes = 0] = (await readFile(report, 'utf8'))
    .trim()
    .split(' ')
    .map(Number);
  return { wall, cpu: user + system, peakMemory: kibibytes * 1024 };
}
