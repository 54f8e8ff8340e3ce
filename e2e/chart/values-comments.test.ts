import { expect, test } from 'vitest';
import { describedValues } from './values-comments.ts';

test('each comment belongs to the value below it, defaults of several lines included', () => {
  const text = `# About this file.

# a -- First,
# and more.
a: 1
b:
  # b.c -- A map.
  c:
    d: {}
  # b.e -- A list.
  e:
    - operator: Exists
`;
  expect(describedValues(text)).toEqual([
    { path: 'a', description: 'First, and more.' },
    { path: 'b.c', description: 'A map.' },
    { path: 'b.e', description: 'A list.' },
  ]);
});

test.each([
  ['a: 1\n', 'line 1: a has no comment'],
  ['# b -- Text.\na: 1\n', 'line 2: a has the comment of b'],
  ['# a -- Text.\na: 1\n# a -- Text.\na: 1\n', 'line 4: a is described twice'],
])('%j is refused', (text, problem) => {
  expect(() => describedValues(text)).toThrow(problem);
});
