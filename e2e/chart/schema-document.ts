import * as z from 'zod';
import type { DescribedValue } from './values-comments.ts';
import { chartValues } from './values-schema.ts';

interface SchemaNode {
  description?: string;
  properties?: Record<string, SchemaNode>;
  required?: readonly string[];
  [keyword: string]: unknown;
}

/**
 * The chart's values.schema.json: types from the schema in code, descriptions from values.yaml. Throws an
 * Error if the two do not name the same values.
 */
export function schemaDocument(values: readonly DescribedValue[]): SchemaNode {
  const document = z.toJSONSchema(chartValues, {
    target: 'draft-7',
    io: 'input',
    // Kubernetes' own parts are checked by the API server.
    unrepresentable: 'any',
  }) as unknown as SchemaNode;
  const undescribed = new Set(leaves(document, values));
  for (const { path, description } of values) {
    const node = nodeAt(document, path);
    if (node === undefined) throw new Error(`values.yaml has ${path}, which values-schema.ts does not know`);
    node.description = description;
    undescribed.delete(path);
  }
  undescribed.delete('global');
  if (undescribed.size > 0)
    throw new Error(`values-schema.ts has values that values.yaml does not: ${[...undescribed].join(', ')}`);
  optional(document);
  return { ...document, title: 'Values of the linuxkit-operator chart' };
}

function nodeAt(document: SchemaNode, path: string): SchemaNode | undefined {
  return path.split('.').reduce<SchemaNode | undefined>((node, key) => node?.properties?.[key], document);
}

/** Paths of everything that is no folder of described values. */
function leaves(node: SchemaNode, values: readonly DescribedValue[], path = ''): readonly string[] {
  if (values.some((value) => value.path === path)) return [path];
  const { properties } = node;
  if (properties === undefined) return [path];
  return Object.entries(properties).flatMap(([key, child]) =>
    leaves(child, values, path === '' ? key : `${path}.${key}`),
  );
}

/** Subcharts and `--reuse-values` may leave out what has a default: nothing is required but within lists. */
function optional(node: SchemaNode): void {
  if (node.properties === undefined) return;
  delete node.required;
  for (const child of Object.values(node.properties)) optional(child);
}
