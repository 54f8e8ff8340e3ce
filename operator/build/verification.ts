import type { LinuxKitConfig } from '../linuxkit/schema.ts';
import { asksForTrust, mustVerify } from '../linuxkit/trust.ts';
import { OciError, type OciErrorCode } from '../oci/errors.ts';
import { formatReference } from '../oci/reference.ts';
import type { SignatureSource } from '../oci/signatures/discover.ts';
import { type PreparedPolicy, preparePolicy, type VerificationPolicy } from '../oci/signatures/policy.ts';
import { type VerifiedSignature, verifyImage } from '../oci/signatures/verify.ts';
import type { ResolvedImage } from '../oci/types.ts';
import { BuildError } from './failure.ts';
import type { ReportProgress } from './progress.ts';
import type { ResolvedInput } from './record.ts';
import type { ResolvedInputs } from './resolve.ts';
import { Slots } from './slots.ts';

/** Images whose signatures are looked for at the same time. */
const PARALLEL_VERIFICATIONS = 8;

/** What is thrown while signatures are read and says nothing of them: the registry, and who may ask it. */
const OF_THE_REGISTRY: ReadonlySet<OciErrorCode> = new Set([
  'RegistryUnreachable',
  'RegistryUnauthorized',
  'RegistryRefused',
  'TooManyRedirects',
]);

/**
 * The policy that goes with a configuration's `trust`, read; undefined when nothing is to be verified. What
 * is asked for and cannot be done, and what is given and would do nothing, are both refused: neither may
 * look like a build whose inputs were verified.
 */
export function policyFor(
  trust: LinuxKitConfig['trust'],
  policy: VerificationPolicy | undefined,
): PreparedPolicy | undefined {
  const asked = asksForTrust(trust);
  if (policy === undefined) {
    if (!asked) return undefined;
    const names = [...(trust?.image ?? []), ...(trust?.org ?? [])].slice(0, 5).join(', ');
    throw new BuildError(
      'verify',
      'InputVerificationFailed',
      `trust asks for verified images (${names}), but the build was given no public key and no identity to verify them with`,
    );
  }
  if (!asked) {
    throw new BuildError(
      'configure',
      'InvalidLinuxKitConfig',
      'trust names no image and no organisation, so that the keys and identities given would verify nothing; name them in trust.image or trust.org',
    );
  }
  return preparePolicy(policy);
}

/**
 * Looks for signatures of the images that `trust` names, before anything of them is used, and gives the
 * inputs with those found. What was signed is what is pulled: the digest was resolved before. Throws
 * {@link BuildError} `InputVerificationFailed` with the image, its digest and the reason.
 */
export async function verifyInputs(
  trust: LinuxKitConfig['trust'],
  policy: PreparedPolicy | undefined,
  resolved: ResolvedInputs,
  environment: {
    readonly images: SignatureSource;
    readonly signal: AbortSignal;
    readonly report: ReportProgress;
  },
): Promise<ResolvedInputs> {
  if (policy === undefined) return resolved;
  const { images, signal, report } = environment;
  const slots = new Slots(PARALLEL_VERIFICATIONS);
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const once = new Map<string, Promise<VerifiedSignature>>();
  const verified = (input: ResolvedInput, image: ResolvedImage): Promise<VerifiedSignature> => {
    const key = `${image.reference.registry}/${image.reference.repository}@${image.index ?? ''}@${image.digest}`;
    const begun = once.get(key) ?? slots.run(0, () => verifyInput(input, image, policy, images, either));
    once.set(key, begun);
    return begun;
  };
  try {
    const inputs = resolved.inputs.map(async (input): Promise<ResolvedInput> => {
      if (!mustVerify(trust, input.reference)) return input;
      const verifiedBy = await verified(input, resolved.at(input.location));
      report({ kind: 'verified', location: input.location, signer: verifiedBy.signer });
      return { ...input, verifiedBy };
    });
    return { ...resolved, inputs: await Promise.all(inputs) };
  } finally {
    // After a failure the other questions are of no use to anybody.
    stop.abort();
  }
}

async function verifyInput(
  { location }: ResolvedInput,
  image: ResolvedImage,
  policy: PreparedPolicy,
  source: SignatureSource,
  signal: AbortSignal,
): Promise<VerifiedSignature> {
  try {
    signal.throwIfAborted();
    return await verifyImage(source, image, policy, signal);
  } catch (error) {
    if (!(error instanceof OciError) || OF_THE_REGISTRY.has(error.code)) throw error;
    const what = `image ${formatReference(image.reference)} (${image.index ?? image.digest})`;
    const message =
      error.code === 'VerificationFailed'
        ? error.message
        : `${what}: its signatures cannot be read: ${error.message}`;
    throw new BuildError('verify', 'InputVerificationFailed', `${location}: ${message}`, { cause: error });
  }
}
