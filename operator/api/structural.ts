import * as z from 'zod';
import { CodedError } from '../errors.ts';

/**
 * From a zod schema to the structural OpenAPI schema of a CustomResourceDefinition
 * (Kubernetes, "Specifying a structural schema"), and the checks that keep `kubectl explain`,
 * server-side apply and the cost limits of CEL honest.
 */

/** A node of a structural schema. */
export interface SchemaNode {
  type?: string;
  format?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode;
  items?: SchemaNode;
  required?: string[];
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  [key: string]: unknown;
}

export type SchemaErrorCode = 'NotStructural';

/** The schema cannot be, or must not become, a CRD. Names every node at fault. */
export class SchemaError extends CodedError<SchemaErrorCode> {}

const INT32_MAX = 2 ** 31 - 1;

/** The structural schema of a zod schema. Throws a {@link SchemaError} if a rule of this file is broken. */
export function structuralSchema(schema: z.ZodType): SchemaNode {
  const json = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    cycles: 'throw',
  });
  const node = normalise(json as SchemaNode);
  const problems = [...problemsOf(node, '')];
  if (problems.length > 0)
    throw new SchemaError('NotStructural', `schema is unfit for a CRD:\n  ${problems.join('\n  ')}`);
  return node;
}

/** Keys in the order in which a person reads a schema; the rest follows by name. */
const ORDER = ['description', 'type', 'format', 'enum', 'default', 'pattern'];
const LAST = ['required', 'properties', 'items', 'additionalProperties'];

function normalise(from: SchemaNode): SchemaNode {
  const node: SchemaNode = { ...from };
  delete node['$schema'];
  delete node['propertyNames'];
  if (node['x-kubernetes-int-or-string'] === true) flattenUnion(node);
  if (node['x-kubernetes-preserve-unknown-fields'] === true || node.additionalProperties === undefined) {
    delete node.additionalProperties;
  } else if (
    typeof node.additionalProperties === 'object' &&
    Object.keys(node.additionalProperties).length > 0
  ) {
    node.additionalProperties = normalise(node.additionalProperties);
  } else {
    // `additionalProperties: false` and `{}` are refused; unknown fields are pruned or, under strict validation, refused anyway.
    delete node.additionalProperties;
  }
  if (node.type === 'integer') boundInteger(node);
  if (node.items !== undefined) node.items = normalise(node.items);
  if (node.properties !== undefined) {
    node.properties = Object.fromEntries(
      Object.entries(node.properties).map(([name, child]) => [name, normalise(child)]),
    );
    if (Object.keys(node.properties).length === 0) delete node.properties;
  }
  return inOrder(node);
}

/**
 * A union is not structural; of this one the API server knows the type by its key alone. The bounds of
 * both branches may stand beside it, since those of numbers do not touch strings and the other
 * way round. (CEL would not do: the value is of unknown type to it, and any comparison of it is
 * estimated as if it were a string as long as a request may be.)
 */
function flattenUnion(node: SchemaNode): void {
  for (const branch of Array.isArray(node['anyOf']) ? (node['anyOf'] as readonly SchemaNode[]) : []) {
    const { minimum, maximum, maxLength, pattern } = branch;
    if (typeof minimum === 'number' && minimum > Number.MIN_SAFE_INTEGER) node['minimum'] = minimum;
    if (typeof maximum === 'number' && maximum < Number.MAX_SAFE_INTEGER) node['maximum'] = maximum;
    if (maxLength !== undefined) node.maxLength = maxLength;
    if (pattern !== undefined) node['pattern'] = pattern;
  }
  delete node['anyOf'];
  delete node.type;
}

/** Kubernetes knows int32 and int64; JavaScript's own bounds are noise. */
function boundInteger(node: SchemaNode): void {
  const { minimum, maximum } = node;
  if (typeof minimum === 'number' && Math.abs(minimum) >= INT32_MAX) delete node['minimum'];
  if (typeof maximum === 'number' && maximum >= Number.MAX_SAFE_INTEGER) delete node['maximum'];
  node.format = typeof maximum === 'number' && maximum <= INT32_MAX ? 'int32' : 'int64';
  if (maximum === INT32_MAX) delete node['maximum'];
}

function inOrder(node: SchemaNode): SchemaNode {
  const rank = (key: string): number => {
    const first = ORDER.indexOf(key);
    if (first >= 0) return first;
    const last = LAST.indexOf(key);
    return last >= 0 ? 100 + last : 50;
  };
  const keys = Object.keys(node).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return Object.fromEntries(keys.map((key) => [key, node[key]]));
}

const FORBIDDEN = [
  '$ref',
  'definitions',
  'anyOf',
  'oneOf',
  'allOf',
  'not',
  'const',
  'patternProperties',
  'uniqueItems',
];

function* problemsOf(node: SchemaNode, path: string): Generator<string> {
  const at = path === '' ? '(root)' : path;
  for (const key of FORBIDDEN) if (key in node) yield `${at}: ${key} is not allowed in a structural schema`;
  const intOrString = node['x-kubernetes-int-or-string'] === true;
  const open = node['x-kubernetes-preserve-unknown-fields'] === true;
  if (node.type === undefined && !intOrString) yield `${at}: has no type`;
  if (node.type === 'string' && node.maxLength === undefined && node.enum === undefined) {
    yield `${at}: text without maxLength makes the cost of rules unbounded`;
  }
  if (node.type === 'array') {
    if (node.maxItems === undefined) yield `${at}: list without maxItems`;
    if (node['x-kubernetes-list-type'] === undefined) yield `${at}: list without x-kubernetes-list-type`;
    if (node.items === undefined) yield `${at}: list without items`;
    yield* listKeyProblems(node, at);
  }
  if (node.additionalProperties !== undefined && node.maxProperties === undefined)
    yield `${at}: map without maxProperties`;
  if (
    node.type === 'object' &&
    node.properties === undefined &&
    node.additionalProperties === undefined &&
    !open
  ) {
    yield `${at}: object without properties`;
  }
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const childPath = path === '' ? name : `${path}.${name}`;
    if (child.description === undefined) yield `${childPath}: has no description`;
    yield* problemsOf(child, childPath);
  }
  if (node.items !== undefined) yield* problemsOf(node.items, `${path}[]`);
  if (node.additionalProperties !== undefined) yield* problemsOf(node.additionalProperties, `${path}{}`);
}

/** Every key of a map-like list must be there: required, or defaulted. */
function* listKeyProblems(node: SchemaNode, at: string): Generator<string> {
  const keys = node['x-kubernetes-list-map-keys'];
  if (!Array.isArray(keys)) return;
  for (const key of keys) {
    const property = node.items?.properties?.[String(key)];
    if (property === undefined) yield `${at}: list key ${String(key)} is not a property`;
    else if (property.default === undefined && !(node.items?.required ?? []).includes(String(key))) {
      yield `${at}: list key ${String(key)} is neither required nor defaulted`;
    }
  }
}
