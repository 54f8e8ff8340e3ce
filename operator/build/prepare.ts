import { type ImagePlan, type KernelStep, planImage } from '../linuxkit/plan.ts';
import type { LinuxKitConfig } from '../linuxkit/schema.ts';
import { asksForTrust } from '../linuxkit/trust.ts';
import type { ImageLimits } from '../oci/limits.ts';
import type { SignatureSource } from '../oci/signatures/discover.ts';
import type { VerificationPolicy } from '../oci/signatures/policy.ts';
import type { ImageSource } from '../oci/source.ts';
import { type AddedFile, type AddedFiles, readAddedFiles } from './added-files.ts';
import type { AttestationSource } from './evidence/input-sboms.ts';
import { BuildError, buildErrorOf } from './failure.ts';
import { inputsHash } from './identity.ts';
import type { CacheStore } from './member-cache.ts';
import type { ReportProgress } from './progress.ts';
import type { Architecture, BuildRecord, BuildStep, Compression } from './record.ts';
import { type ResolvedInputs, resolveInputs } from './resolve.ts';
import { imageLocations } from './sources.ts';

/** What is built: the same inputs give byte-identical kernels and initrds. */
export interface BuildInput {
  /** Checked by the parser. */
  readonly config: LinuxKitConfig;
  readonly architecture: Architecture;
  readonly compression: 'auto' | Compression;
  /** Files besides those of the configuration. */
  readonly files: readonly AddedFile[];
  /** Whose signatures count for the images that `trust` of the configuration names. */
  readonly verification?: VerificationPolicy;
}

/** What a build needs of the world. */
export interface BuildEnvironment {
  readonly images: ImageSource & AttestationSource & SignatureSource;
  /** Where members of earlier builds are. */
  readonly cache?: CacheStore;
  /** An empty folder on a disk with room for all images uncompressed and the result; the caller removes it. */
  readonly workFolder: string;
  readonly signal: AbortSignal;
  /** What images may ask; `images` has its own. */
  readonly limits: ImageLimits;
  readonly report: ReportProgress;
  readonly now: () => Date;
  /** Name and version of the engine, for the record. */
  readonly engine: string;
  /** The record of an earlier build of the same inputs whose artifact is still there. */
  readonly findResult: (inputsHash: string) => Promise<BuildRecord | undefined>;
}

/** Seconds that each step took; `pull` overlaps `assemble`. */
export type StepSeconds = Readonly<Partial<Record<BuildStep, number>>>;

/** A build whose inputs are known and verified: what remains is to make something of them. */
export interface PreparedBuild {
  readonly input: BuildInput;
  readonly environment: BuildEnvironment;
  readonly plan: ImagePlan;
  readonly kernel: KernelStep;
  readonly images: ResolvedInputs;
  readonly added: AddedFiles;
  /** Hash of everything that determines the output, 64 hex digits. */
  readonly hash: string;
  readonly steps: Steps;
}

/** Plans a build, follows its references to digests and verifies what must be. Throws {@link BuildError}. */
export async function prepareBuild(input: BuildInput, environment: BuildEnvironment): Promise<PreparedBuild> {
  const { signal, workFolder } = environment;
  const steps = new Steps(environment);
  const { trust } = input.config;
  const unverified = !asksForTrust(trust) && input.verification === undefined;
  // Sigstore's libraries are loaded only where something is to be verified.
  const verification = unverified ? undefined : await import('./verification.ts');
  const { plan, kernel, policy, added } = await steps.run('configure', async () => {
    const planned = planImage(input.config);
    const { kernel } = planned;
    if (kernel === undefined)
      throw invalid('kernel.image is required: without a kernel there is nothing to boot');
    const policy = verification?.policyFor(trust, input.verification);
    const files = await readAddedFiles(planned.files, input.files, { folder: workFolder, signal });
    return { plan: planned, kernel, policy, added: files };
  });
  const resolved = await steps.run('resolve', () =>
    resolveInputs(imageLocations(plan), { ...input, ...environment }),
  );
  const images = await steps.run(
    'verify',
    async () => verification?.verifyInputs(trust, policy, resolved, environment) ?? resolved,
  );
  const hash = inputsHash({ ...input, images: images.inputs, files: added.sums });
  return { input, environment, plan, kernel, images, added, hash, steps };
}

/** Runs steps, each once, measures them, and turns what they throw into {@link BuildError}. */
export class Steps {
  readonly #environment: BuildEnvironment;
  readonly #seconds: Partial<Record<BuildStep, number>> = {};

  constructor(environment: BuildEnvironment) {
    this.#environment = environment;
  }

  get seconds(): StepSeconds {
    return this.#seconds;
  }

  async run<T>(step: BuildStep, action: () => Promise<T>): Promise<T> {
    const { report, now, signal } = this.#environment;
    const begun = now().getTime();
    const ended = (problem?: string): void => {
      const seconds = (now().getTime() - begun) / 1000;
      this.#seconds[step] = seconds;
      report({ kind: 'ended', step, seconds, ...(problem === undefined ? {} : { problem }) });
    };
    report({ kind: 'step', step });
    try {
      signal.throwIfAborted();
      const result = await action();
      ended();
      return result;
    } catch (error) {
      const failure = buildErrorOf(step, signal.aborted ? signal.reason : error);
      ended(failure.message);
      throw failure;
    }
  }
}

function invalid(message: string): BuildError {
  return new BuildError('configure', 'InvalidLinuxKitConfig', message);
}
