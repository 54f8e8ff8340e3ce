import { InvalidArgumentError } from 'commander';
import { isLimitName, type LimitSettings, limitNames } from '../oci/limits.ts';

export const LIMIT_FLAG = '--limit <name=number>';
export const LIMIT_HELP =
  'what registries and images may ask of a build, by the name that an error gives; bytes, milliseconds or a count (repeatable)';

/** Commander's parser for a repeatable `NAME=NUMBER`, or several with commas between. */
export function limitFlag(text: string, before: LimitSettings = {}): LimitSettings {
  const limits: Record<string, number> = { ...before };
  for (const pair of text.split(',')) {
    const [name = '', value = '', ...more] = pair.split('=').map((part) => part.trim());
    if (!isLimitName(name))
      throw new InvalidArgumentError(
        `${JSON.stringify(name)} is no limit; there are ${limitNames().join(', ')}.`,
      );
    if (!/^[1-9][0-9]{0,15}$/.test(value) || more.length > 0)
      throw new InvalidArgumentError(`${name} must be a whole number above 0.`);
    limits[name] = Number(value);
  }
  return limits;
}
