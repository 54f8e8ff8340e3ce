import { createReadStream } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { BuildError } from '../build/failure.ts';
import { messageOf } from '../errors.ts';
import type { TrustedIdentity, VerificationPolicy } from '../oci/signatures/policy.ts';

/** Keys and trusted roots have kilobytes. */
const MAX_TRUST_FILE_BYTES = 1024 * 1024;

/** A key, or a trusted root, as text. Throws {@link BuildError} `InvalidLinuxKitConfig`, naming the file. */
export async function readTrustFile(path: string): Promise<string> {
  try {
    // `end` is the last byte that is read: one more than there may be.
    const bytes = await buffer(createReadStream(path, { end: MAX_TRUST_FILE_BYTES }));
    if (bytes.length > MAX_TRUST_FILE_BYTES)
      throw new RangeError(`it is larger than MAX_TRUST_FILE_BYTES (${MAX_TRUST_FILE_BYTES})`);
    return bytes.toString('utf8');
  } catch (error) {
    throw new BuildError(
      'configure',
      'InvalidLinuxKitConfig',
      `cannot read ${path} to verify images with: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * Commander's parser for a repeatable `ISSUER,SUBJECT`. Each is exact, or between slashes a regular expression
 * for all of it.
 */
export function identityFlag(text: string, before: readonly TrustedIdentity[]): readonly TrustedIdentity[] {
  const [, issuer = '', subject = ''] = /^(\/.*?\/|[^/,][^,]*),(.+)$/.exec(text) ?? [];
  if (issuer === '' || subject === '')
    throw new InvalidArgumentError('Not ISSUER,SUBJECT such as https://issuer.example,someone@team.example.');
  const issuerPattern = patternOf(issuer);
  const subjectPattern = patternOf(subject);
  const identity: TrustedIdentity = {
    ...(issuerPattern === undefined ? { issuer } : { issuerPattern }),
    ...(subjectPattern === undefined ? { subject } : { subjectPattern }),
  };
  return [...before, identity];
}

/** What stands between slashes. */
function patternOf(text: string): string | undefined {
  return text.length > 2 && text.startsWith('/') && text.endsWith('/') ? text.slice(1, -1) : undefined;
}

/** Undefined when no flag says anything of verification. */
export async function policyOfFlags(flags: {
  readonly verifyKey: readonly string[];
  readonly verifyIdentity: readonly TrustedIdentity[];
  readonly trustedRoot?: string;
}): Promise<VerificationPolicy | undefined> {
  const { verifyKey, verifyIdentity, trustedRoot } = flags;
  if (verifyKey.length === 0 && verifyIdentity.length === 0 && trustedRoot === undefined) return undefined;
  return {
    publicKeys: await Promise.all(verifyKey.map(readTrustFile)),
    identities: verifyIdentity,
    ...(trustedRoot === undefined ? {} : { trustedRoot: await readTrustFile(trustedRoot) }),
  };
}
