import { assert, integer, nat, property } from 'fast-check';
import { expect, test } from 'vitest';
import { describeFailure, Failure, tail } from './failure.ts';
import { formatBar, formatElapsed, formatStep } from './render.ts';
import { createReporter } from './reporter.ts';

test.each([
  [0, '0.0 s'],
  [9_949, '9.9 s'],
  [12_400, '12 s'],
  [185_000, '3 m 05 s'],
])('%d ms is shown as %s', (milliseconds, text) => {
  expect(formatElapsed(milliseconds)).toBe(text);
});

test('a bar has its width and never more cells than are done', () => {
  assert(
    property(nat(5000), nat(5000), integer({ min: 1, max: 60 }), (done, total, width) => {
      const bar = formatBar(done, total, width);
      expect(bar).toHaveLength(width + 2);
      const filled = bar.split('#').length - 1;
      expect(filled).toBe(total === 0 ? 0 : Math.floor(Math.min(1, done / total) * width));
    }),
  );
});

test('a line never exceeds the terminal', () => {
  const view = { name: 'compile kubelet', elapsed: 61_000, detail: 'k8s.io/api', done: 5, total: 10 };
  expect(formatStep(view, 200)).toBe(
    'compile kubelet  1 m 01 s  [############............]  5/10  k8s.io/api',
  );
  expect(formatStep(view, 60)).toBe('compile kubelet  1 m 01 s  [############............]  5/10');
  expect(formatStep(view, 55)).toBe('compile ku…  1 m 01 s  [############............]  5/10');
  expect(formatStep(view, 20)).toHaveLength(20);
});

test('without a terminal a step is two plain lines', async () => {
  const { output, reporter } = record(false);
  await reporter.step('make tea', async (step) => {
    step.progress(1, 2);
    await Promise.resolve();
  });
  expect(output.join('')).toBe('>>> make tea\nok  make tea  0.0 s\n');
});

test('on a terminal the live line gives way to the result', async () => {
  const { output, reporter } = record(true);
  await reporter.step('make tea', async () => {
    await Promise.resolve();
  });
  expect(output.join('')).toBe('  make tea  0.0 s\n\u001b[1A\u001b[Jok  make tea  0.0 s\n');
});

test('a failure is described once, by the innermost step, with log and advice', async () => {
  const { output, reporter } = record(false);
  const failure = new Failure('CompileFailed', 'cannot compile x', { log: 'line 1', advice: 'read it' });
  const work = reporter.step('outer', async () => {
    await reporter.step('inner', async () => await Promise.reject(failure));
  });
  await expect(work).rejects.toBe(failure);
  const text = output.join('');
  expect(text.match(/cannot compile x/g)).toHaveLength(1);
  expect(text).toContain('--- end of its log ---\n    line 1\n    ---\n    What to do: read it\n');
  expect(text).toContain('FAILED  outer');
});

test('a description follows the causes', () => {
  const error = new Error('outer', { cause: new Error('inner', { cause: 'not an error' }) });
  expect(describeFailure(error)).toBe('outer\ncaused by: inner');
  expect(describeFailure('text')).toBe('text');
});

test('a tail has no trailing blank lines', () => {
  expect(tail('a\nb\nc\n\n', 2)).toBe('b\nc');
  expect(tail('a', 5)).toBe('a');
});

function record(isTTY: boolean) {
  const output: string[] = [];
  const reporter = createReporter({ write: (text) => output.push(text), isTTY, columns: 80 }, () => 0);
  return { output, reporter };
}
