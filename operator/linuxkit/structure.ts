import * as z from 'zod';

/**
 * What a schema has to say of a value, as paths and sentences. Unlike the schema itself this
 * also finds unknown fields.
 */

export type FieldPath = readonly (string | number)[];

export interface FieldProblem {
  readonly path: FieldPath;
  readonly message: string;
  /** True when the field should not be there at all: it is the key that is wrong. */
  readonly unknown?: true;
}

/** Nothing, for a value that fits the schema. */
export function structureProblems(schema: z.ZodType, value: unknown): readonly FieldProblem[] {
  const { success, error } = schema.safeParse(value);
  const problems = success
    ? []
    : error.issues.map((issue) => ({ path: pathOf(issue.path), message: describe(issue, value) }));
  return [...unknownFields(schema, value, []), ...problems];
}

function pathOf(path: readonly PropertyKey[]): FieldPath {
  return path.map((segment) => (typeof segment === 'symbol' ? String(segment) : segment));
}

function describe(issue: z.core.$ZodIssue, root: unknown): string {
  switch (issue.code) {
    case 'invalid_type': {
      const value = valueAt(root, issue.path);
      if (value === undefined) return 'is required';
      if (!issue.message.startsWith(DEFAULT_TYPE_MESSAGE)) return issue.message;
      const quote = issue.expected === 'string' && isScalar(value) ? '; put it in quotes' : '';
      return `must be ${nameOf(issue.expected)}, not ${nameOf(typeOf(value))}${quote}`;
    }
    case 'too_big':
      return sizeMessage(issue.origin, 'at most', issue.maximum);
    case 'too_small':
      return sizeMessage(issue.origin, 'at least', issue.minimum);
    default:
      return issue.message;
  }
}

/** How zod begins the message of a wrong type where the schema has none of its own. */
const DEFAULT_TYPE_MESSAGE = 'Invalid input';

function sizeMessage(origin: string, bound: string, size: number | bigint): string {
  switch (origin) {
    case 'string':
      return `must have ${bound} ${size} characters`;
    case 'array':
      return `must have ${bound} ${size} entries`;
    default:
      return `must be ${bound} ${size}`;
  }
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), root);
}

function isObject(value: unknown): value is Readonly<Record<PropertyKey, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isScalar(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'number' && Number.isInteger(value) ? 'int' : typeof value;
}

const NAMES: ReadonlyMap<string, string> = new Map([
  ['string', 'a string'],
  ['number', 'a number'],
  ['int', 'an integer'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'a map'],
  ['record', 'a map'],
  ['null', 'empty'],
]);

function nameOf(type: string): string {
  return NAMES.get(type) ?? type;
}

function unknownFields(schema: z.core.$ZodType, value: unknown, path: FieldPath): readonly FieldProblem[] {
  if (schema instanceof z.ZodOptional) return unknownFields(schema.def.innerType, value, path);
  if (schema instanceof z.ZodArray && Array.isArray(value)) {
    return value.flatMap((item, index) => unknownFields(schema.element, item, [...path, index]));
  }
  if (!(schema instanceof z.ZodObject) || !isObject(value) || Array.isArray(value)) return [];
  const shape: Readonly<Record<string, z.core.$ZodType>> = schema.shape;
  return Object.keys(value).flatMap((key) => {
    const field = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (field !== undefined) return unknownFields(field, value[key], [...path, key]);
    const message = `unknown field${suggestion(key, Object.keys(shape))}`;
    return [{ path: [...path, key], message, unknown: true }];
  });
}

/** A known field that differs in case or by a letter or two. */
function suggestion(key: string, known: readonly string[]): string {
  const close = known.find((name) => name.toLowerCase() === key.toLowerCase() || isNear(name, key));
  return close === undefined ? '' : `; did you mean ${close}?`;
}

/** Short names, and of one length: what a document of nothing but unknown fields can make this cost is bounded. */
function isNear(name: string, key: string): boolean {
  const difference = Math.abs(name.length - key.length);
  return (
    key.length >= 4 && key.length <= 24 && difference <= 1 && name[0] === key[0] && distance(name, key) <= 2
  );
}

/** How many letters to insert, delete or change (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** `services[1].capabilities.add[0]`, `services[0].sysctl["a b"]`. */
export function formatPath(path: FieldPath): string {
  return path.reduce<string>((text, segment) => {
    if (typeof segment === 'number') return `${text}[${segment}]`;
    if (!/^[\w.-]+$/.test(segment)) return `${text}[${JSON.stringify(segment)}]`;
    return text === '' ? segment : `${text}.${segment}`;
  }, '');
}
