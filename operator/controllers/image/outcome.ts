import * as z from 'zod';
import type { BuildOutcome } from '../../build/record.ts';
import { type Digest, isDigest } from '../../oci/types.ts';

/** Kubernetes keeps no more of a termination message. */
const MESSAGE_BYTES = 4096;

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value));
const STEPS = ['configure', 'resolve', 'verify', 'pull', 'assemble', 'upload'] as const;
const amount = z.number().nonnegative().max(Number.MAX_SAFE_INTEGER);

const outcome = z.discriminatedUnion('result', [
  z.object({
    result: z.literal('succeeded'),
    digest,
    reused: z.boolean(),
    seconds: z.partialRecord(z.enum(STEPS), amount),
    bytesPulled: amount,
    bytesStored: amount,
    cache: z.object({ hits: amount, misses: amount, bytes: amount }).exactOptional(),
    verifiedBy: z.record(z.string(), z.string()).exactOptional(),
  }),
  z.object({
    result: z.literal('failed'),
    failure: z.object({
      step: z.enum(STEPS),
      reason: z.enum([
        'InvalidLinuxKitConfig',
        'ImageNotFound',
        'ImagePullFailed',
        'RegistryUnreachable',
        'RegistryUnauthorized',
        'BootImagePushFailed',
        'DigestMismatch',
        'InputVerificationFailed',
        'AssemblyFailed',
        'LimitExceeded',
        'StorageUnavailable',
        'StorageDenied',
        'Cancelled',
        'InternalError',
      ]),
      message: z.string().max(MESSAGE_BYTES),
    }),
  }),
]);

/**
 * Reads a build container's termination message. Undefined when it is none of ours: the container
 * was killed before it could write one, or runs something else.
 */
export function parseOutcome(message: string | undefined): BuildOutcome | undefined {
  if (message === undefined || message === '' || message.length > MESSAGE_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    return undefined;
  }
  const parsed = outcome.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}
