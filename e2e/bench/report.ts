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

/** How many G a case took, as the median over its rounds, each with the G that was measured beside it. */
export function ratio({ rounds }: CaseResult): number {
  return median(rounds.map(({ engine, unit }) => engine.wall / unit.wall));
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
  '| case | bar | measured | computing | wall | peak memory | initrd | by hand |',
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
  const { bar } = benchCase;
  const of = (value: (round: Round) => number): number => median(rounds.map(value));
  const measured = ratio(result);
  const memory = peakMemory(result);
  const cells = [
    `${benchCase.set.name}, ${benchCase.title}`,
    bar === undefined ? '–' : `${bar} G`,
    marked(`${measured.toFixed(2)} G`, bar !== undefined && measured > bar),
    `${of(({ engine, unit }) => engine.cpu / unit.cpu).toFixed(2)} G`,
    `${of(({ engine }) => engine.wall).toFixed(2)} s (G ${of(({ unit }) => unit.wall).toFixed(2)} s)`,
    marked(`${(memory / 1024 / 1024).toFixed(0)} MiB`, memory > MEMORY_BAR),
    `${(of(({ initrdSize }) => initrdSize) / 1e6).toFixed(1)} MB`,
    `${of(({ byHand, unit }) => byHand.wall / unit.wall).toFixed(2)} G`,
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Bold, where a bar is missed. */
function marked(text: string, missed: boolean): string {
  return missed ? `**${text}**` : text;
}
