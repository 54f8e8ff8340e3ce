import type { Round } from './bench-room.ts';
import type { BenchCase } from './cases.ts';

/** The most resident memory that a build may have, whatever its size, in bytes. */
export const MEMORY_BAR = 200 * 1024 * 1024;

export interface CaseResult {
  readonly benchCase: BenchCase;
  readonly rounds: readonly Round[];
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** How often G a case took, as the median over its rounds, each with the G that was measured beside it. */
export function ratio({ rounds }: CaseResult): number {
  return median(rounds.map(({ engine, g }) => engine.wall / g));
}

export function peakMemory({ rounds }: CaseResult): number {
  return Math.max(...rounds.map(({ engine }) => engine.peakMemory));
}

/** Whether a case keeps to its bars of time and memory. */
export function holds(result: CaseResult): boolean {
  const { bar } = result.benchCase;
  return (bar === undefined || ratio(result) <= bar) && peakMemory(result) <= MEMORY_BAR;
}

const HEADER = [
  '| case | bar | measured | wall | CPU | peak memory | initrd | by hand |',
  '| --- | --- | --- | --- | --- | --- | --- | --- |',
];

/** Seconds from the kernel's start to its start of init, a pair a round. */
export type BootRounds = readonly { readonly gzip: number; readonly zstd: number }[];

/** One line on how long the guest takes to unpack. */
export function bootLine(rounds: BootRounds): string {
  const gzip = median(rounds.map((round) => round.gzip));
  const zstd = median(rounds.map((round) => round.zstd));
  const compared = median(rounds.map((round) => round.zstd / round.gzip));
  return `from kernel start to init, software emulation: gzip ${gzip.toFixed(1)} s, zstd ${zstd.toFixed(1)} s (${compared.toFixed(2)} of gzip)\n`;
}

/** The results as a Markdown table. */
export function table(results: readonly CaseResult[]): string {
  return `${[...HEADER, ...results.map(row)].join('\n')}\n`;
}

function row(result: CaseResult): string {
  const { benchCase, rounds } = result;
  const of = (value: (round: Round) => number): number => median(rounds.map(value));
  const g = of((round) => round.g);
  const byHand = median(rounds.map((round) => round.byHand.wall / round.g));
  const cells = [
    `${benchCase.set.name}, ${benchCase.title}`,
    benchCase.bar === undefined ? '–' : `${benchCase.bar} G`,
    `${holds(result) ? '' : '**'}${ratio(result).toFixed(2)} G${holds(result) ? '' : '**'}`,
    `${of(({ engine }) => engine.wall).toFixed(2)} s (G ${g.toFixed(2)} s)`,
    `${of(({ engine }) => engine.cpu).toFixed(2)} s`,
    `${(peakMemory(result) / 1024 / 1024).toFixed(0)} MiB`,
    `${(of(({ initrdSize }) => initrdSize) / 1e6).toFixed(1)} MB`,
    `${byHand.toFixed(2)} G`,
  ];
  return `| ${cells.join(' | ')} |`;
}
