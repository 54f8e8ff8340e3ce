import { type Material, mutate } from './mutate.ts';
import { Random } from './random.ts';
import type { FuzzTarget } from './target.ts';

/** Something that a parser did and should not have. */
export interface Finding {
  readonly target: string;
  readonly kind: 'unexpected error' | 'slow' | 'hang' | 'memory' | 'crash';
  readonly message: string;
  readonly input: Buffer;
}

export interface Watch {
  /** Called before each input, so that whoever watches has it if the parser never comes back. */
  readonly before: (input: Buffer) => void;
  /** Seconds that this thread has computed. */
  readonly cpuSeconds: () => number;
}

/** Seconds of computing that one input of at most 64 KiB may take. */
const MAX_CPU_SECONDS = 2;
/** Inputs that are kept because they led to something new. */
const MAX_KEPT = 2000;

/**
 * Feeds changed inputs to a parser, one after another. The same seed gives the same inputs. Ends with
 * the first finding.
 */
export async function* campaign(
  target: FuzzTarget,
  seed: number,
  watch: Watch,
): AsyncGenerator<Finding | undefined, void, undefined> {
  const random = new Random(seed);
  const corpus = [...(await target.corpus())];
  const material: Material = { corpus, words: (target.words ?? []).map((word) => Buffer.from(word)) };
  const seen = new Set<string>();
  // Sound inputs first: if one of them fails, everything else is noise.
  const sound = [...corpus];
  for (;;) {
    const start = sound.shift();
    const input = start ?? changed(target, material, random);
    const finding = await tryInput(target, input, watch);
    if ('kind' in finding) {
      yield finding;
      return;
    }
    if (start === undefined && !seen.has(finding.outcome) && corpus.length < MAX_KEPT) corpus.push(input);
    seen.add(finding.outcome);
    yield undefined;
  }
}

function changed(target: FuzzTarget, material: Material, random: Random): Buffer {
  const input = mutate(random.pick(material.corpus), material, random);
  return target.repair === undefined || random.oneIn(8) ? input : target.repair(input, random);
}

/** Gives one input to the parser. The outcome tells kinds of results apart. */
export async function tryInput(
  target: FuzzTarget,
  input: Buffer,
  { before, cpuSeconds }: Watch,
): Promise<Finding | { readonly outcome: string }> {
  before(input);
  const begun = cpuSeconds();
  let outcome: string;
  try {
    outcome = `result ${await target.parse(input)}`;
  } catch (error) {
    if (!target.expected(error)) {
      const message = error instanceof Error ? (error.stack ?? error.message) : `thrown: ${String(error)}`;
      return { target: target.name, kind: 'unexpected error', message, input };
    }
    outcome = kindOf(error);
  }
  const seconds = cpuSeconds() - begun;
  if (seconds <= MAX_CPU_SECONDS) return { outcome };
  const message = `${input.length} bytes took ${seconds.toFixed(1)} s of computing`;
  return { target: target.name, kind: 'slow', message, input };
}

/** Errors are of one kind if they differ in numbers and quoted text alone. */
function kindOf(error: unknown): string {
  return `error ${String(error).slice(0, 300)}`
    .replace(/"[^"]*"?/g, '""')
    .replace(/[0-9a-f]*[0-9][0-9a-f]*/g, '#');
}
