import * as fc from 'fast-check';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import type { JsonObject } from './go-json.ts';
import { goYaml } from './go-yaml.ts';
import { plainValue } from './yaml-node.ts';
import { readYamlTree } from './yaml-tree.ts';

test.each<[JsonObject, string]>([
  [{ a: 'b', c: undefined, d: null }, 'a: b\nd: null\n'],
  [{ a: [], b: {}, c: '' }, 'a: []\nb: {}\nc: ""\n'],
  [{ a: ['x', 'y'], b: [{ c: 1, d: ['e'] }] }, 'a:\n- x\n- "y"\nb:\n- c: 1\n  d:\n  - e\n'],
  [{ a: { b: { c: true } } }, 'a:\n  b:\n    c: true\n'],
  [{ a: 'x\ny\n' }, 'a: |\n  x\n  y\n'],
  [{ a: ['x\n\n  y'] }, 'a:\n- |-\n  x\n\n    y\n'],
  [{ a: 'x\n\n\n' }, 'a: |+\n  x\n\n\n'],
  [{ a: 'x \ny' }, 'a: "x \\ny"\n'],
  [
    { a: 'console=ttyS0 page_poison=1', b: 'linuxkit/init:v1@sha256:ab' },
    'a: console=ttyS0 page_poison=1\nb: linuxkit/init:v1@sha256:ab\n',
  ],
])('%j', (value, text) => {
  expect(goYaml(value)).toBe(text);
});

test.each([
  'yes',
  'No',
  'on',
  'Y',
  'true',
  'null',
  '~',
  '',
  '0644',
  '1_000',
  '12:30',
  '2017-04-18',
  '.inf',
  '- a',
  '# a',
  'a: b',
  'a #b',
  ' a',
  'a ',
  '@a',
  '*a',
  '&a',
  '!a',
  '%a',
  '"a',
  "'a",
  '[a',
  '{a',
  '|',
  '>',
  '0x1',
  '1e3',
  '<<',
  '=',
])('the string %j stays a string', (text) => {
  expect(plainValue(readYamlTree(goYaml({ a: text, b: [text] }), 'x'))).toEqual({ a: text, b: [text] });
  expect(load(goYaml({ a: text }))).toEqual({ a: text });
});

test('reads back as what was written', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc
      .array(fc.constantFrom('a', ' ', '\n', '\t', ':', '#', '-', '"', '\r'), { maxLength: 12 })
      .map((parts) => parts.join('')),
  );
  const tree = fc.letrec<{
    node: string | number | boolean | null | readonly unknown[] | object;
    map: object;
  }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 3 },
      text,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(text),
      fc.array(tie('map')),
      tie('map'),
    ),
    map: fc.dictionary(fc.stringMatching(/^[a-z.]{1,8}$/), tie('node'), { maxKeys: 4 }),
  }));
  fc.assert(
    fc.property(tree.map, (map) => {
      const value = JSON.parse(JSON.stringify(map)) as JsonObject;
      fc.pre(Object.keys(value).length > 0);
      expect(JSON.parse(JSON.stringify(plainValue(readYamlTree(goYaml(value), 'x'))))).toEqual(value);
    }),
  );
});
