import { setTimeout as delay } from 'node:timers/promises';
import type { FuzzTarget } from './target.ts';

/** Parsers with defects, to show that each kind of them is found. */
const planted = (name: string, parse: FuzzTarget['parse']): FuzzTarget => ({
  name,
  corpus: () => [Buffer.from('defect')],
  expected: () => false,
  parse,
});

const kept: unknown[] = [];

export const TARGETS: readonly FuzzTarget[] = [
  planted('loops', () => {
    for (;;) kept.length = 0;
  }),
  planted('waits', async () => {
    await delay(3_600_000);
    return '';
  }),
  planted('brings its process down', () => process.abort()),
  planted('hoards heap', () => {
    for (;;) kept.push({ entry: kept.length });
  }),
  planted('hoards buffers', () => {
    for (;;) kept.push(Buffer.alloc(1 << 24, 1));
  }),
];
