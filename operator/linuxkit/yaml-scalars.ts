/**
 * What a plain scalar means: the rules of go-yaml (version 3), which are YAML 1.2's with some of
 * 1.1's kept. They decide, for instance, that an unquoted 0644 is the number 420 and that an
 * unquoted `yes` is a string.
 */

export type Scalar = string | number | boolean | null;

const CONSTANTS: ReadonlyMap<string, Scalar> = new Map<string, Scalar>([
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((word) => [word, Infinity] as const),
  ...['-.inf', '-.Inf', '-.INF'].map((word) => [word, -Infinity] as const),
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, Number.NaN] as const),
]);

/** Octal numbers may be written with a leading 0 alone. */
const INTEGER = /^[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
/** Longer texts are no numbers that anything here could hold. */
const MAX_NUMBER_LENGTH = 64;

/** Dates stay strings: nothing in a configuration is a date. */
export function resolvePlainScalar(text: string): Scalar {
  const constant = CONSTANTS.get(text);
  if (constant !== undefined) return constant;
  if (text.length > MAX_NUMBER_LENGTH || !/^[-+.0-9]/.test(text)) return text;
  const digits = text.replaceAll('_', '');
  if (INTEGER.test(digits)) return parseInteger(digits);
  return FLOAT.test(digits) ? Number(digits) : text;
}

function parseInteger(text: string): number {
  const negative = text.startsWith('-');
  const digits = text.replace(/^[-+]/, '').toLowerCase();
  const octal = /^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits;
  const magnitude = Number(octal);
  return negative ? 0 - magnitude : magnitude;
}
