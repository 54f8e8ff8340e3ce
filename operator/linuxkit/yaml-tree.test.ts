import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatProblem, LinuxKitConfigError } from './errors.ts';
import { plainValue } from './yaml-node.ts';
import { MAX_DEPTH, MAX_DOCUMENT_BYTES, readYamlTree } from './yaml-tree.ts';

function read(text: string): unknown {
  return plainValue(readYamlTree(text, 'x.yml'));
}

function problemsOf(text: string): readonly string[] {
  try {
    read(text);
  } catch (error) {
    if (error instanceof LinuxKitConfigError) return error.problems.map(formatProblem);
    throw error;
  }
  return [];
}

describe('reads', () => {
  test.each([
    ['a: 0644\nb: "0644"\nc: yes', { a: 420, b: '0644', c: 'yes' }],
    ['a: !!str 5\nb: ! 5\nc: !!int "7"', { a: '5', b: '5', c: 7 }],
    ['a: |\n  x\n  y\nb: >-\n  x\n  y', { a: 'x\ny\n', b: 'x y' }],
    ['a:\nb: ~\nc: [,]'.replace('[,]', '[]'), { a: null, b: null, c: [] }],
    ['%YAML 1.2\n---\na: 1\n...\n', { a: 1 }],
    ['\ufeffa: 1', { a: 1 }],
    ['a: "@hello"', { a: '@hello' }],
    ['{"a": [1, {"b": true}]}', { a: [1, { b: true }] }],
    ['a: &x [1, 2]\nb: *x', { a: [1, 2], b: [1, 2] }],
    ['a: &x {k: 1, l: 2}\nb: {l: 3, <<: *x}', { a: { k: 1, l: 2 }, b: { l: 3, k: 1 } }],
    ['a: {<<: [{k: 1}, {k: 2, l: 3}]}', { a: { k: 1, l: 3 } }],
    ['a: &x 1\nb: &x 2\nc: *x', { a: 1, b: 2, c: 2 }],
    ['"<<": 1', { '<<': 1 }],
  ])('%j', (text, value) => {
    expect(read(text)).toEqual(value);
  });

  test('a key named __proto__ as a key', () => {
    const value = read('__proto__: {polluted: true}');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('refuses', () => {
  test.each([
    ['', ['x.yml: the document is empty']],
    ['# only a comment\n', ['x.yml: the document is empty']],
    ['a: 1\n---\nb: 2', ['x.yml: there are 2 documents where one is expected']],
    ['a: 1\nb: 2\na: 3', ['x.yml:3:1: the key a is given twice']],
    ['a: {<<: {x: 1}, <<: {y: 1}}', ['x.yml:1:17: the key << is given twice']],
    ['a: {<<: 5}', ['x.yml:1:9: << takes a map, or a list of maps']],
    ['a: *nowhere', ['x.yml:1:4: no anchor &nowhere is complete before its alias']],
    ['a: &x [*x]', ['x.yml:1:8: no anchor &x is complete before its alias']],
    [
      '1: a\ntrue: b\n? [c]\n: d',
      ['x.yml:1:1', 'x.yml:2:1', 'x.yml:3:3'].map((at) => `${at}: a key must be a string; put it in quotes`),
    ],
    ['a: !custom b', ['x.yml:1:12: the tag !custom is not supported']],
    ['a: !!set {b}', ['x.yml:1:10: the tag !!set is not supported']],
    ['a: !!binary aGVsbG8=', ['x.yml:1:13: the tag !!binary is not supported']],
  ])('%j', (text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
  });

  test('text that is no YAML, with the place', () => {
    expect(problemsOf('a: 1\n b: 2')[0]).toMatch(/^x\.yml:2:3: not valid YAML: /);
    expect(problemsOf('a: [1')[0]).toMatch(/^x\.yml:1:6: not valid YAML: /);
  });

  test('aliases that expand beyond measure', () => {
    const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
    for (let i = 1; i < 9; i += 1)
      lines.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(',')}]`,
      );
    expect(problemsOf(lines.join('\n'))).toEqual([
      'x.yml: the document has more nodes than MAX_NODES (200000), aliases expanded',
    ]);
  });

  test('merges that expand beyond measure', () => {
    const many = Array.from({ length: 2000 }, (_, index) => `k${index}: v`).join(', ');
    const uses = Array.from({ length: 200 }, (_, index) => `m${index}: {<<: *x}`).join('\n');
    expect(problemsOf(`x: &x {${many}}\n${uses}`)).toEqual([
      'x.yml: the document has more nodes than MAX_NODES (200000), aliases expanded',
    ]);
  });

  test('deep nesting and large documents', () => {
    expect(problemsOf('['.repeat(MAX_DEPTH + 1))[0]).toMatch(/nesting.*MAX_DEPTH is 50/);
    expect(problemsOf(`a: ${'ü'.repeat(MAX_DOCUMENT_BYTES / 2)}`)).toEqual([
      `x.yml: the document is larger than MAX_DOCUMENT_BYTES (${MAX_DOCUMENT_BYTES})`,
    ]);
  });
});

test('JSON means what it means to JSON', () => {
  // Surrogates without a partner have no place in UTF-8, and so in no file.
  const text = fc.string({ unit: 'grapheme' });
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      text,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      tie('list'),
      tie('map'),
    ),
    list: fc.array(tie('node'), { maxLength: 4 }),
    map: fc.dictionary(text, tie('node'), { maxKeys: 4 }),
  }));
  fc.assert(
    fc.property(value.map, (map) => {
      const json = JSON.stringify(map, null, 1);
      expect(JSON.stringify(read(json), null, 1)).toBe(json);
    }),
  );
});

test('any text is read or refused with an error of its own', () => {
  const fragment = fc.constantFrom(
    'a',
    ': ',
    '- ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    ',',
    '&x ',
    '*x',
    '<<',
    '"',
    "'",
    '|',
    '>',
    '!',
    '!!str ',
    '#',
    '?',
    '---\n',
    '0',
    '@',
    '%',
    '\t',
    '\u0000',
  );
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 30 }), (fragments) => {
      problemsOf(fragments.join(''));
    }),
    { numRuns: 2000 },
  );
});
