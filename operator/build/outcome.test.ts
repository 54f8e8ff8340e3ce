import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildError } from './failure.ts';
import { exitCodeOf, failedOutcome, terminationMessage } from './outcome.ts';
import type { BuildOutcome } from './record.ts';

const failed = (message: string): BuildOutcome =>
  failedOutcome(new BuildError('resolve', 'ImageNotFound', message));

describe('terminationMessage', () => {
  it('keeps a message that fits', () => {
    expect(JSON.parse(terminationMessage(failed('gone')))).toEqual({
      result: 'failed',
      failure: { step: 'resolve', reason: 'ImageNotFound', message: 'gone' },
    });
  });

  it('never takes more than Kubernetes keeps, uses most of it, and stays JSON', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 6000 }),
      fc.string({ minLength: 4000, maxLength: 9000 }),
    );
    fc.assert(
      fc.property(text, (message) => {
        const written = terminationMessage(failed(message));
        expect(Buffer.byteLength(written)).toBeLessThanOrEqual(4096);
        const parsed = JSON.parse(written) as { failure: { reason: string; message: string } };
        expect(parsed.failure.reason).toBe('ImageNotFound');
        if (parsed.failure.message !== message) expect(Buffer.byteLength(written)).toBeGreaterThan(4060);
      }),
    );
  });

  it('keeps beginning and end of a long message', () => {
    const { failure } = JSON.parse(terminationMessage(failed(`begin ${'x'.repeat(9000)} end`))) as {
      failure: { message: string };
    };
    expect(failure.message).toMatch(/^begin x+ \[…\] x+ end$/);
  });
});

describe('exitCodeOf', () => {
  it.each([
    ['ImageNotFound', 65],
    ['InvalidLinuxKitConfig', 65],
    ['RegistryUnreachable', 75],
    ['StorageUnavailable', 75],
    ['Cancelled', 75],
    ['InternalError', 75],
  ] as const)('of %s is %d', (reason, code) => {
    expect(exitCodeOf(failedOutcome(new BuildError('pull', reason, '')))).toBe(code);
  });

  it('of success is 0', () => {
    const digest = 'sha256:0' as Extract<BuildOutcome, { result: 'succeeded' }>['digest'];
    expect(
      exitCodeOf({ result: 'succeeded', digest, reused: true, seconds: {}, bytesPulled: 0, bytesStored: 0 }),
    ).toBe(0);
  });
});
