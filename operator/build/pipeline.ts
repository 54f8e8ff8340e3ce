import type { Evidence } from './evidence/evidence.ts';
import {
  type BuildEnvironment,
  type BuildInput,
  type PreparedBuild,
  prepareBuild,
  type StepSeconds,
} from './prepare.ts';
import type { BuildRecord, ResolvedInput } from './record.ts';
import type { WorkFile } from './work-file.ts';

export interface BuildResult {
  readonly record: BuildRecord;
  /** As this build resolved and verified them, whichever build the record is of. */
  readonly inputs: readonly ResolvedInput[];
  /** In the work folder; undefined when an earlier build of the same inputs is the result. */
  readonly files?: { readonly kernel: WorkFile; readonly 'initrd.img': WorkFile } & Evidence;
  readonly seconds: StepSeconds;
  readonly bytesPulled: number;
}

/** Builds an image, or finds that it was built before. Throws {@link BuildError}. */
export async function build(input: BuildInput, environment: BuildEnvironment): Promise<BuildResult> {
  return buildPrepared(await prepareBuild(input, environment));
}

/** The kernel and the initrd of a prepared build, or that they were built before. Throws {@link BuildError}. */
export async function buildPrepared(prepared: PreparedBuild): Promise<BuildResult> {
  const { environment, images, hash, steps } = prepared;
  const earlier = await environment.findResult(hash);
  if (earlier !== undefined)
    return { record: earlier, inputs: images.inputs, seconds: steps.seconds, bytesPulled: 0 };
  // Loaded only now: where nothing changed, reading the program is what would take the time.
  const { makeArtifact } = await import('./artifact.ts');
  return makeArtifact(prepared);
}
