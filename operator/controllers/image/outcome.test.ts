import { anything, assert, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import { IMAGE_REASONS, TERMINAL_BUILD_FAILURES } from '../../api/reasons.ts';
import { BuildError } from '../../build/failure.ts';
import { exitCodeOf, failedOutcome } from '../../build/outcome.ts';
import { BUILD_EXIT, type BuildFailureReason } from '../../build/record.ts';
import { parseOutcome } from './outcome.ts';

const succeeded = {
  result: 'succeeded',
  digest: `sha256:${'a'.repeat(64)}`,
  reused: false,
  seconds: { pull: 1.5 },
  bytesPulled: 1,
  bytesStored: 2,
  cache: { hits: 3, misses: 1, bytes: 50 },
};

test('reads what a build says', () => {
  expect(parseOutcome(JSON.stringify(succeeded))).toEqual(succeeded);
  const verified = { ...succeeded, verifiedBy: { kernel: 'key 0123456789abcdef' } };
  expect(parseOutcome(JSON.stringify(verified))).toEqual(verified);
  const failed = { result: 'failed', failure: { step: 'pull', reason: 'DigestMismatch', message: 'x' } };
  expect(parseOutcome(JSON.stringify(failed))).toEqual(failed);
});

test.each([
  ['nothing', undefined],
  ['empty text', ''],
  ['no JSON', 'Killed'],
  ['cut off JSON', JSON.stringify(succeeded).slice(0, -1)],
  ['more than Kubernetes keeps', JSON.stringify({ ...succeeded, pad: 'x'.repeat(5000) })],
  ['another result', JSON.stringify({ result: 'fine' })],
  ['a digest that is none', JSON.stringify({ ...succeeded, digest: 'sha256:../../x' })],
  ['a step that is none', JSON.stringify({ ...succeeded, seconds: { dance: 1 } })],
  ['a signer that is none', JSON.stringify({ ...succeeded, verifiedBy: { kernel: 1 } })],
  ['negative bytes', JSON.stringify({ ...succeeded, bytesPulled: -1 })],
  [
    'a reason that is none',
    JSON.stringify({ result: 'failed', failure: { step: 'pull', reason: 'Nope', message: 'x' } }),
  ],
])('takes %s for no outcome', (_, message) => {
  expect(parseOutcome(message)).toBeUndefined();
});

test('never throws', () => {
  assert(property(string(), (text) => void parseOutcome(text)));
  assert(property(anything(), (value) => void parseOutcome(JSON.stringify(value) ?? 'undefined')));
});

test('the exit codes are those that the build ends with', () => {
  const failure = (reason: BuildFailureReason) => failedOutcome(new BuildError('pull', reason, 'x'));
  expect(exitCodeOf(failure('ImageNotFound'))).toBe(BUILD_EXIT.failedForGood);
  expect(exitCodeOf(failure('RegistryUnreachable'))).toBe(BUILD_EXIT.failedForNow);
});

test('what the controller never tries again, the Job does not either', () => {
  const reasons = Object.keys(IMAGE_REASONS) as BuildFailureReason[];
  for (const reason of reasons.filter((one) =>
    parseOutcome(JSON.stringify({ result: 'failed', failure: { step: 'pull', reason: one, message: '' } })),
  )) {
    const code = exitCodeOf(failedOutcome(new BuildError('pull', reason, 'x')));
    if (TERMINAL_BUILD_FAILURES.has(reason)) expect(code, reason).toBe(BUILD_EXIT.failedForGood);
  }
});
