import type { HandWork } from './by-hand.ts';
import { IMAGE_SETS, type ImageSet, type SetName, SMALL_SERVICE } from './image-sets.ts';

export const CASE_NAMES = ['cold-zstd', 'cold-gzip', 'unchanged', 'cached', 'file', 'service'] as const;
export type CaseName = (typeof CASE_NAMES)[number];

/** One thing that is measured: how long a build takes that finds the world in a certain state. */
export interface BenchCase {
  readonly name: CaseName;
  readonly set: ImageSet;
  readonly title: string;
  readonly compression: 'gzip' | 'zstd';
  /** What the build finds of its last run: nothing; its cache and its result; its cache alone. */
  readonly finds: 'nothing' | 'cache and result' | 'cache';
  /** What is different from the last run. */
  readonly changed?: 'inline file' | 'small service';
  /** The most that it may take, in units of G. */
  readonly bar?: number;
  /** What a pipeline by hand has to do for the same. */
  readonly byHand: HandWork;
}

/** The cases of a set, in an order in which each leaves behind what the next one finds. */
export function casesOf(name: SetName): readonly BenchCase[] {
  const set = IMAGE_SETS[name];
  const { images } = set;
  const all = (pack: 'gzip' | 'zstd'): HandWork => ({ copy: images, unpack: images, pack });
  const small = images.filter((image) => image.name === SMALL_SERVICE);
  const bars: Readonly<Partial<Record<CaseName, number>>> =
    name === 'mid'
      ? { 'cold-zstd': 1.8, 'cold-gzip': 3.5, unchanged: 0.15, file: 0.2, service: 0.3 }
      : { 'cold-zstd': 2 };
  const cases: readonly Omit<BenchCase, 'set' | 'bar'>[] = [
    {
      name: 'cold-gzip',
      title: 'nothing cached, gzip',
      compression: 'gzip',
      finds: 'nothing',
      byHand: all('gzip'),
    },
    {
      name: 'cold-zstd',
      title: 'nothing cached, zstd',
      compression: 'zstd',
      finds: 'nothing',
      byHand: all('zstd'),
    },
    {
      name: 'unchanged',
      title: 'nothing changed',
      compression: 'zstd',
      finds: 'cache and result',
      byHand: { copy: images, unpack: [], pack: undefined },
    },
    {
      name: 'cached',
      title: 'nothing changed, result gone',
      compression: 'zstd',
      finds: 'cache',
      byHand: { copy: images, unpack: [], pack: 'zstd' },
    },
    {
      name: 'file',
      title: 'one inline file changed',
      compression: 'zstd',
      finds: 'cache and result',
      changed: 'inline file',
      byHand: { copy: [], unpack: [], pack: 'zstd' },
    },
    {
      name: 'service',
      title: "one small service's image changed",
      compression: 'zstd',
      finds: 'cache and result',
      changed: 'small service',
      byHand: { copy: small, unpack: small, pack: 'zstd' },
    },
  ];
  return cases.map((one) => ({
    ...one,
    set,
    ...(bars[one.name] === undefined ? {} : { bar: bars[one.name] }),
  }));
}
