import type { BuildError } from './failure.ts';
import { BUILD_EXIT, type BuildFailureReason, type BuildOutcome, type ResolvedInput } from './record.ts';

/** What Kubernetes keeps of a termination message, in bytes. */
const MAX_MESSAGE_BYTES = 4096;

/** Reasons that trying again does not mend: somebody has to change something. */
const FOR_GOOD: ReadonlySet<BuildFailureReason> = new Set([
  'InvalidLinuxKitConfig',
  'ImageNotFound',
  'RegistryUnauthorized',
  'DigestMismatch',
  'InputVerificationFailed',
  'AssemblyFailed',
  'LimitExceeded',
  'StorageDenied',
]);

export function exitCodeOf(outcome: BuildOutcome): number {
  if (outcome.result === 'succeeded') return BUILD_EXIT.succeeded;
  return FOR_GOOD.has(outcome.failure.reason) ? BUILD_EXIT.failedForGood : BUILD_EXIT.failedForNow;
}

/** By location, who signed the inputs that were verified; undefined where none was. */
export function signersOf(inputs: readonly ResolvedInput[]): Readonly<Record<string, string>> | undefined {
  const signers = inputs.flatMap(({ location, verifiedBy }) =>
    verifiedBy === undefined ? [] : [[location, verifiedBy.signer] as const],
  );
  return signers.length === 0 ? undefined : Object.fromEntries(signers);
}

export function failedOutcome(error: BuildError): BuildOutcome {
  return { result: 'failed', failure: error.failure };
}

/**
 * The outcome as a termination message. A failure's message that is too long loses its middle: its end often says
 * what to do. Signers that are too many are left out.
 */
export function terminationMessage(outcome: BuildOutcome): string {
  const whole = JSON.stringify(outcome);
  if (Buffer.byteLength(whole) <= MAX_MESSAGE_BYTES) return whole;
  if (outcome.result === 'succeeded') {
    const { verifiedBy: _, ...rest } = outcome;
    return JSON.stringify(rest);
  }
  const { failure } = outcome;
  const characters = Array.from(failure.message);
  // What JSON makes of a character is known only when it is made: the longest that fits is searched for.
  let fits = 0;
  let tooLong = characters.length;
  const shortened = (kept: number): string => {
    const tail = Math.floor(kept / 4);
    const message = `${characters.slice(0, kept - tail).join('')} […] ${characters.slice(characters.length - tail).join('')}`;
    return JSON.stringify({ result: 'failed', failure: { ...failure, message } });
  };
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (Buffer.byteLength(shortened(middle)) <= MAX_MESSAGE_BYTES) fits = middle;
    else tooLong = middle;
  }
  return shortened(fits);
}
