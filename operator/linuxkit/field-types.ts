import * as z from 'zod';

/**
 * Building blocks of the configuration's schema. The schema is read twice: by zod when a
 * configuration arrives as text, and by the API server after it was turned into a structural
 * OpenAPI schema. Hence the restrictions: every string and list is bounded (the API server
 * estimates the cost of CEL rules from these bounds), patterns are common to ECMAScript and
 * RE2, and a rule that the schema language lacks is written both as CEL and as a predicate.
 */

/** One rule in both of its forms. They must accept exactly the same values. */
interface PairedRule<T> {
  /** CEL, with `self` as the value. */
  readonly rule: string;
  readonly message: string;
  readonly holds: (value: T) => boolean;
}

/** The key under which the API server expects CEL rules in a schema. */
const CEL_RULES = 'x-kubernetes-validations';

/** Attaches rules to a schema: as refinements for zod and as metadata for the CRD. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: readonly PairedRule<z.output<S>>[]): S {
  const known = z.globalRegistry.get(schema)?.[CEL_RULES];
  const earlier: readonly unknown[] = Array.isArray(known) ? known : [];
  let refined: S = schema;
  for (const { holds, message } of rules) refined = refined.refine(holds, message);
  return refined.meta({
    [CEL_RULES]: [...earlier, ...rules.map(({ rule, message }) => ({ rule, message }))],
  });
}

/** A string of at most `max` characters that matches `pattern`. One pattern a string: a schema has room for one. */
export function patterned(max: number, pattern: string, message: string): z.ZodString {
  return z.string().max(max).regex(new RegExp(pattern), message);
}

/** A string without NUL characters, which neither paths nor arguments of processes can hold. */
export function text(max: number): z.ZodString {
  return patterned(max, '^[^\\x00]*$', 'must not contain a NUL character');
}

/** Like {@link text}, and not empty. */
export function filledText(max: number): z.ZodString {
  return patterned(max, '^[^\\x00]+$', 'must not be empty, nor contain a NUL character');
}

/** An integer within bounds, both inclusive. */
export function integer(min: number, max: number): z.ZodNumber {
  return z.number().int().min(min).max(max);
}

/** The 64-bit integers of the kernel's interfaces, as far as JSON numbers carry them exactly. */
export function integer64(min = -1): z.ZodNumber {
  return integer(min, Number.MAX_SAFE_INTEGER);
}

export function list<T extends z.ZodType>(element: T, max: number): z.ZodArray<T> {
  return z.array(element).max(max).meta({ 'x-kubernetes-list-type': 'atomic' });
}

/** A list that Kubernetes treats as a map from `name` to element: the name must be unique. */
export function namedList<T extends z.ZodType<{ readonly name: string }>>(
  element: T,
  max: number,
): z.ZodArray<T> {
  return z
    .array(element)
    .max(max)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] });
}

/** A map from strings to strings. `max` is the number of keys. */
export function textMap(max: number, maxValue: number) {
  return z
    .record(z.string(), text(maxValue))
    .refine((value) => Object.keys(value).length <= max, `must not have more than ${max} keys`)
    .meta({ maxProperties: max });
}

/** The largest user or group id; the next one, 2^32-1, means "unchanged" to setresuid(2). */
export const MAX_ID = 4_294_967_294;

/**
 * A user or group: a number, or a name. In a CRD this is `x-kubernetes-int-or-string` with the
 * bounds of both beside it; a CEL rule on such a value would exceed every cost limit.
 */
export const identity = z
  .union([integer(0, MAX_ID), text(76)], `must be a number from 0 to ${MAX_ID}, or a name`)
  .meta({ 'x-kubernetes-int-or-string': true });

const MODE_MESSAGE = "must be a quoted octal string, such as '0644'";

/** File permissions, written as octal digits in a string, as LinuxKit asks for; empty is as good as none. */
export const octalMode = z
  .string({ error: (issue) => (issue.input === undefined ? undefined : MODE_MESSAGE) })
  .max(8)
  .regex(/^(0*[0-7]{1,4})?$/, MODE_MESSAGE);

/** A path within the image, which must stay there. */
export const imagePath = withRules(
  patterned(4096, '^[/.]*[^/.\\x00][^\\x00]*$', 'must name something below the root directory'),
  {
    rule: "!('/' + self + '/').contains('/../')",
    message: "must not contain a '..' segment",
    holds: (path) => !`/${path}/`.includes('/../'),
  },
);
