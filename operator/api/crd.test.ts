import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { generatedFiles } from './generate.ts';
import { SchemaError, structuralSchema } from './structural.ts';

const ROOT = join(import.meta.dirname, '../..');

test.each([...(await generatedFiles())])('%s is what the schemas say', async (path, content) => {
  expect(await readFile(join(ROOT, path), 'utf8')).toBe(content);
});

const described = (schema: z.ZodType): z.ZodType => z.object({ member: schema.describe('A member.') });

test.each([
  ['text without a limit', z.string(), /member: text without maxLength/],
  [
    'a list without a limit',
    z.array(z.int32()).meta({ 'x-kubernetes-list-type': 'atomic' }),
    /list without maxItems/,
  ],
  ['a list without a type', z.array(z.int32()).max(3), /without x-kubernetes-list-type/],
  ['a map without a limit', z.record(z.string(), z.int32()), /map without maxProperties/],
  ['an alternative', z.union([z.object({ a: z.int32() }), z.int32()]), /anyOf is not allowed/],
  ['an object of anything', z.object({}), /object without properties/],
  [
    'a list key that may be missing',
    z
      .array(z.object({ name: z.string().max(3).optional().describe('Name.') }))
      .max(3)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
    /list key name is neither required nor defaulted/,
  ],
])('refuses %s', (_title, schema, reason) => {
  expect(() => structuralSchema(described(schema))).toThrow(SchemaError);
  expect(() => structuralSchema(described(schema))).toThrow(reason);
});

test('refuses a field that nobody described', () => {
  expect(() => structuralSchema(z.object({ a: z.int32() }))).toThrow(/a: has no description/);
});

test('keeps the bounds of both branches of an int-or-string, and the sizes of integers', () => {
  const schema = z.object({
    either: z
      .union([z.int().min(1).max(9), z.string().max(4)])
      .meta({ 'x-kubernetes-int-or-string': true })
      .describe('Either.'),
    small: z.int32().describe('Small.'),
    large: z.int().min(0).describe('Large.'),
  });
  expect(structuralSchema(schema).properties).toEqual({
    either: {
      description: 'Either.',
      'x-kubernetes-int-or-string': true,
      minimum: 1,
      maximum: 9,
      maxLength: 4,
    },
    small: { description: 'Small.', type: 'integer', format: 'int32' },
    large: { description: 'Large.', type: 'integer', format: 'int64', minimum: 0 },
  });
});
