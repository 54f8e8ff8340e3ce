import * as z from 'zod';
import { withRules } from './rules.ts';

/** Go's notation of durations (`time.ParseDuration`), without signs and without units below a millisecond. */
export const DURATION_PATTERN = /^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration such as `90s`, `1h30m`; undefined if it is not one. */
export function durationMilliseconds(text: string): number | undefined {
  if (!DURATION_PATTERN.test(text)) return undefined;
  let total = 0;
  for (const [, number, , unit] of text.matchAll(/([0-9]+(\.[0-9]+)?)(ms|s|m|h)/g)) {
    total += Number(number) * (UNITS[unit ?? ''] ?? Number.NaN);
  }
  return Number.isFinite(total) ? total : undefined;
}

/** Schema of a duration within bounds, both inclusive and themselves durations. */
export function durationBetween(least: string, most: string): z.ZodString {
  const [lower, upper] = [durationMilliseconds(least), durationMilliseconds(most)];
  if (lower === undefined || upper === undefined) throw new RangeError(`not durations: ${least}, ${most}`);
  return withRules(z.string().min(2).max(32).regex(DURATION_PATTERN), [
    {
      cel: `duration(self) >= duration('${least}') && duration(self) <= duration('${most}')`,
      message: `must lie between ${least} and ${most}`,
      holds: (text) => {
        const value = durationMilliseconds(text);
        return value !== undefined && value >= lower && value <= upper;
      },
    },
  ]);
}
