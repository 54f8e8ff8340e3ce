import type { Random } from './random.ts';

/** A parser under test. */
export interface FuzzTarget {
  readonly name: string;
  /** Sound inputs, made by writers of ours. */
  readonly corpus: () => Promise<readonly Buffer[]> | readonly Buffer[];
  /** Words that mean something to the parser. */
  readonly words?: readonly string[];
  /** Repairs checksums and the like, so that what lies behind them is reached. */
  readonly repair?: (input: Buffer, random: Random) => Buffer;
  /**
   * Parses, and checks what the parser promises of its results. What it returns tells kinds of
   * results apart: an input that gives a new kind is kept to be changed further.
   */
  readonly parse: (input: Buffer) => Promise<string> | string;
  /** Whether the parser may throw this. */
  readonly expected: (error: unknown) => boolean;
}

/** A property of a result that does not hold. */
export class BrokenPromise extends Error {}

/** Throws {@link BrokenPromise} unless it is true. */
export function promised(condition: boolean, what: string): asserts condition {
  if (!condition) throw new BrokenPromise(what);
}
