import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Digest } from '../oci/types.ts';
import { BuildError } from './failure.ts';
import { exitCodeOf, failedOutcome, signersOf, terminationMessage } from './outcome.ts';
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
    const unit = fc.nat(0x10_ffff).map((point) => String.fromCodePoint(point));
    const text = fc.oneof(
      fc.string({ unit, maxLength: 6000 }),
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

describe('signers', () => {
  const input = (location: string) => ({
    location,
    reference: 'a',
    digest: sha256Digest('0'.repeat(64)),
    verifiedBy: {
      digest: sha256Digest('0'.repeat(64)),
      signer: `signer of ${location}`,
      form: 'bundle' as const,
    },
  });
  const { verifiedBy: _, ...unverified } = input('init[0]');
  const succeeded = (count: number): BuildOutcome => ({
    result: 'succeeded',
    digest: sha256Digest('1'.repeat(64)),
    reused: false,
    seconds: {},
    bytesPulled: 0,
    bytesStored: 0,
    verifiedBy: signersOf(Array.from({ length: count }, (_, at) => input(`services[${at}]`))) ?? {},
  });

  it('are those of the inputs that were verified', () => {
    expect(signersOf([input('kernel'), unverified])).toEqual({ kernel: 'signer of kernel' });
    expect(signersOf([unverified])).toBeUndefined();
  });

  it('are left out of a message for which they are too many', () => {
    expect(JSON.parse(terminationMessage(succeeded(3)))).toEqual(succeeded(3));
    const { verifiedBy: _, ...rest } = succeeded(200) as Extract<BuildOutcome, { result: 'succeeded' }>;
    expect(JSON.parse(terminationMessage(succeeded(200)))).toEqual(rest);
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
