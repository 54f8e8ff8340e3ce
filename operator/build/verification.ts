import type { LinuxKitConfig } from '../linuxkit/schema.ts';
import { asksForTrust, mustVerify } from '../linuxkit/trust.ts';
import { OciError, type OciErrorCode } from '../oci/errors.ts';
import { formatReference } from '../oci/reference.ts';
import type { SignatureSource } from '../oci/signatures/discover.ts';
import { type PreparedPolicy, preparePolicy, type VerificationPolicy } from '../oci/signatures/policy.ts';
import { type VerifiedSignature, verifyImage } from '../oci/signatures/verify.ts';
import type { ResolvedImage } from '../oci/types.ts';
import { BuildError } from './failure.ts';
import { inOrder } from './in-order.ts';
import type { ReportProgress } from './progress.ts';
import type { ResolvedInput } from './record.ts';
import type { ResolvedInputs } from './resolve.ts';

/** Images whose signatures are looked for at the same time. */
const PARALLEL_VERIFICATIONS = 8;

/** Refused images whose reasons are told; the others are counted. */
const REFUSALS_TOLD = 5;

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
 * {@link BuildError} `InputVerificationFailed` with each image that is refused, its digest and the reason.
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
  const wanted = resolved.inputs.filter(({ reference }) => mustVerify(trust, reference));
  // An image is asked about once, on behalf of the first place that names it.
  const questions = new Map<string, ResolvedInput>();
  for (const input of wanted) {
    const key = keyOf(resolved.at(input.location));
    if (!questions.has(key)) questions.set(key, input);
  }
  const answers = await inOrder(
    Array.from(questions.values(), (input) => (stop: AbortSignal) => {
      return verifyInput(input, resolved.at(input.location), policy, images, stop);
    }),
    { parallel: PARALLEL_VERIFICATIONS, signal },
  );
  const refused = answers.filter((answer) => answer instanceof BuildError);
  if (refused.length > 0) throw refusalOf(refused);
  const signed = new Map(Array.from(questions.keys(), (key, index) => [key, answers[index]]));
  const inputs = resolved.inputs.map((input): ResolvedInput => {
    if (!wanted.includes(input)) return input;
    const verifiedBy = signed.get(keyOf(resolved.at(input.location)));
    if (verifiedBy === undefined || verifiedBy instanceof BuildError)
      throw new Error(`${input.location} was not verified`);
    report({ kind: 'verified', location: input.location, signer: verifiedBy.signer });
    return { ...input, verifiedBy };
  });
  return { ...resolved, inputs };
}

function keyOf({ reference, index, digest }: ResolvedImage): string {
  return `${reference.registry}/${reference.repository}@${index ?? ''}@${digest}`;
}

function refusalOf(refused: readonly BuildError[]): BuildError {
  const [only] = refused;
  if (only !== undefined && refused.length === 1) return only;
  const told = refused.slice(0, REFUSALS_TOLD).map(({ message }) => message);
  const others = refused.length > told.length ? `; and ${refused.length - told.length} more` : '';
  return new BuildError(
    'verify',
    'InputVerificationFailed',
    `${refused.length} images are not verified: ${told.join('; ')}${others}`,
    { cause: only },
  );
}

/** What speaks for an image, or why it must not be used. Throws what is the registry's fault. */
async function verifyInput(
  { location }: ResolvedInput,
  image: ResolvedImage,
  policy: PreparedPolicy,
  source: SignatureSource,
  signal: AbortSignal,
): Promise<VerifiedSignature | BuildError> {
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
    return new BuildError('verify', 'InputVerificationFailed', `${location}: ${message}`, { cause: error });
  }
}
