import type { z } from 'zod';
import { type ConditionType, IMAGE_CONDITIONS, MACHINE_CONDITIONS } from './conditions.ts';
import { imageSpec, imageStatus } from './image.ts';
import { machineSpec, machineStatus } from './machine.ts';
import { BUILD_REASON_MEANINGS, IMAGE_REASONS, MACHINE_REASONS } from './reasons.ts';
import { type SchemaNode, structuralSchema } from './structural.ts';

/**
 * The tables of the pages on the two kinds. A page names one by a pair of comments,
 * `<!-- table: image spec -->` and `<!-- end -->`; what lies between is replaced.
 */
const TABLES: Readonly<Record<string, () => string>> = {
  'image spec': () => fieldTable('spec', imageSpec),
  'image status': () => fieldTable('status', imageStatus),
  'image conditions': () => conditionTable(IMAGE_CONDITIONS),
  'image reasons': () => reasonTable(IMAGE_REASONS),
  'build reasons': () => reasonTable(BUILD_REASON_MEANINGS),
  'machine spec': () => fieldTable('spec', machineSpec),
  'machine status': () => fieldTable('status', machineStatus),
  'machine conditions': () => conditionTable(MACHINE_CONDITIONS),
  'machine reasons': () => reasonTable(MACHINE_REASONS),
};

/** The page with its tables as they should be. Throws a RangeError for a table that does not exist. */
export function withTables(page: string): string {
  return page.replace(/<!-- table: ([a-z ]+) -->\n[^]*?<!-- end -->/g, (_match, name: string) => {
    const table = TABLES[name];
    if (table === undefined)
      throw new RangeError(
        `there is no table ${JSON.stringify(name)}; there are: ${Object.keys(TABLES).join(', ')}`,
      );
    return `<!-- table: ${name} -->\n${table()}<!-- end -->`;
  });
}

/** LinuxKit's own and Kubernetes' own: documented where they come from, and long. */
const OPAQUE = new Set(['config', 'affinity', 'tolerations', 'topologySpreadConstraints', 'conditions']);

function fieldTable(root: string, schema: z.ZodType): string {
  return table(['Field', 'Type', 'Default', 'Meaning'], [...rows(structuralSchema(schema), root)]);
}

function* rows(node: SchemaNode, path: string): Generator<readonly string[]> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const at = `${path}.${name}`;
    const required = node.required?.includes(name) === true ? 'required' : '';
    const initial = child.default === undefined ? required : code(JSON.stringify(child.default));
    yield [code(at), typeOf(child), initial, child.description ?? ''];
    if (OPAQUE.has(name)) continue;
    if (child.items === undefined) yield* rows(child, at);
    else yield* rows(child.items, `${at}[]`);
  }
}

function typeOf(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map((value) => code(String(value))).join(', ');
  if (node['x-kubernetes-int-or-string'] === true) return 'integer or text';
  if (node.items !== undefined)
    return `list of ${node.items.type === 'object' ? 'objects' : typeOf(node.items)}`;
  if (node.additionalProperties !== undefined) return 'map';
  switch (node.type) {
    case 'string':
      return node.format === 'date-time' ? 'time' : 'text';
    case undefined:
      return '';
    default:
      return node.type;
  }
}

function conditionTable(types: readonly ConditionType[]): string {
  return table(
    ['Type', 'Good when', 'Meaning'],
    types.map(({ type, polarity, meaning }) => [
      code(type),
      polarity === 'positive' ? 'True' : 'absent',
      meaning,
    ]),
  );
}

function reasonTable(reasons: Readonly<Record<string, string>>): string {
  return table(
    ['Reason', 'Meaning'],
    Object.entries(reasons).map(([reason, meaning]) => [code(reason), meaning]),
  );
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + body.map(line).join('');
}

function code(text: string): string {
  return `\`${text}\``;
}
