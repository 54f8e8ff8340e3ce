import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { goJson, type JsonValue, sortedMap } from './go-json.ts';

test.each<[JsonValue, string]>([
  [{}, '{}'],
  [[], '[]'],
  [{ a: undefined }, '{}'],
  [
    { a: 1, b: [true, null], c: { d: 'x' } },
    '{\n    "a": 1,\n    "b": [\n        true,\n        null\n    ],\n    "c": {\n        "d": "x"\n    }\n}',
  ],
  [{ a: [], b: {} }, '{\n    "a": [],\n    "b": {}\n}'],
  ['<a>&b', '"\\u003ca\\u003e\\u0026b"'],
  ['\u2028\u2029', '"\\u2028\\u2029"'],
  ['"\\\b\f\n\r\t\u0001\u007f/', '"\\"\\\\\\b\\f\\n\\r\\t\\u0001\u007f/"'],
  ['ü€😀', '"ü€😀"'],
  ['\ud800', '"\\ufffd"'],
  ['\\ud800', '"\\\\ud800"'],
  ['\\\ud800', '"\\\\\\ufffd"'],
  [18_446_744_073_709_551_615n, '18446744073709551615'],
  [-1, '-1'],
])('case %#', (value, text) => {
  expect(goJson(value)).toBe(text);
});

test('keys of maps are in the order of their bytes', () => {
  const sorted = sortedMap({ 'b.c': '1', b: '2', B: '3', '\u{10000}': '4', '\uffff': '5' });
  expect(Object.keys(sorted ?? {})).toEqual(['B', 'b', 'b.c', '\uffff', '\u{10000}']);
});

test('reads back as what was written', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const integers = JSON.parse(
        JSON.stringify(value, (_, v: unknown) => (typeof v === 'number' ? Math.trunc(v) || 0 : v)),
      ) as JsonValue;
      expect(JSON.parse(goJson(integers))).toEqual(integers);
    }),
  );
});
