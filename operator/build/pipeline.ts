import { createReadStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import { planBundles } from '../linuxkit/bundle.ts';
import { type ImagePlan, type KernelStep, planImage } from '../linuxkit/plan.ts';
import type { LinuxKitConfig } from '../linuxkit/schema.ts';
import { type BootLayer, bootImage, bootLayer } from '../oci/boot-image.ts';
import { LayerStore } from '../oci/layer-store.ts';
import type { SignatureSource } from '../oci/signatures/discover.ts';
import type { VerificationPolicy } from '../oci/signatures/policy.ts';
import type { ImageSource } from '../oci/source.ts';
import { type AddedFile, readAddedFiles } from './added-files.ts';
import { type Assembled, assemble } from './assembly.ts';
import { BuildThread } from './build-thread.ts';
import { beginInputSboms, type Evidence, evidenceInputs, writeEvidence } from './evidence/evidence.ts';
import type { AttestationSource } from './evidence/input-sboms.ts';
import { BuildError, buildErrorOf } from './failure.ts';
import { type GeneratedEntry, plannedEntry } from './generated.ts';
import { artifactDigest, contentSum, inputsHash } from './identity.ts';
import { type CacheStore, MemberCache } from './member-cache.ts';
import type { ReportProgress } from './progress.ts';
import type {
  Architecture,
  BuildRecord,
  BuildStep,
  Compression,
  FileRecord,
  ResolvedInput,
} from './record.ts';
import { type ResolvedInputs, resolveInputs } from './resolve.ts';
import { Slots } from './slots.ts';
import { imageLocations, memberSources } from './sources.ts';
import { sumOf } from './sum.ts';
import { policyFor, verifyInputs } from './verification.ts';
import type { WorkFile } from './work-file.ts';

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
  readonly report: ReportProgress;
  readonly now: () => Date;
  /** Name and version of the engine, for the record. */
  readonly engine: string;
  /** The record of an earlier build of the same inputs whose artifact is still there. */
  readonly findResult: (inputsHash: string) => Promise<BuildRecord | undefined>;
}

/** Seconds that each step took. */
export type StepSeconds = Readonly<Partial<Record<BuildStep, number>>>;

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
  const { signal, report, workFolder } = environment;
  const steps = new Steps(environment);

  const { plan, kernel, policy, added } = await steps.run('configure', async () => {
    const planned = planImage(input.config);
    const { kernel } = planned;
    if (kernel === undefined)
      throw invalid('kernel.image is required: without a kernel there is nothing to boot');
    const policy = policyFor(input.config.trust, input.verification);
    const files = await readAddedFiles(planned.files, input.files, { folder: workFolder, signal });
    return { plan: planned, kernel, policy, added: files };
  });

  const resolved = await steps.run('resolve', () =>
    resolveInputs(imageLocations(plan), { ...input, ...environment }),
  );
  const images = await steps.run('verify', () =>
    verifyInputs(input.config.trust, policy, resolved, environment),
  );

  const hash = inputsHash({ ...input, images: images.inputs, files: added.sums });
  const earlier = await environment.findResult(hash);
  if (earlier !== undefined)
    return { record: earlier, inputs: images.inputs, seconds: steps.seconds, bytesPulled: 0 };

  const different = evidenceInputs(images);
  using evidence = beginInputSboms(different, environment.images, signal);
  // Ends what still goes on when the build is over: the first failure must not wait for pulls and cache
  // writes that nobody needs any more.
  const ending = new AbortController();
  const working = AbortSignal.any([signal, ending.signal]);
  await using thread = new BuildThread(working);
  await using layers = new LayerStore({
    source: environment.images,
    directory: workFolder,
    indexer: thread.indexLayer,
  });
  using _over = { [Symbol.dispose]: () => ending.abort(new BuildOver()) };
  const assembled = await steps.run('assemble', async () => {
    const bundles = planBundles(
      input.config,
      plan.containers,
      ({ location }) => images.at(location).config.config,
    );
    const [kernelSource, ...trees] = memberSources(plan, kernel, bundles, images);
    return assemble(
      {
        compression: input.compression,
        kernel: kernelSource,
        trees,
        bundles: bundleEntries(plan, bundles),
        files: added.entries,
      },
      {
        layers,
        thread,
        cache: environment.cache && new MemberCache(environment.cache, { report, signal: working }),
        folder: workFolder,
        slots: new Slots(availableParallelism()),
        signal: working,
        report,
      },
    );
  });
  const { record, statements } = await steps.run('assemble', async () => {
    const described = await describe(input, images, hash, kernel, assembled, environment);
    const sboms = await evidence.sboms;
    const facts = { input, images, inputs: different, sboms, files: added.sums };
    const written = await writeEvidence(described, facts, environment);
    return { record: withEvidence(described, written), statements: written };
  });
  const files = { kernel: assembled.kernel, 'initrd.img': assembled.initrd, ...statements };
  return { record, inputs: images.inputs, files, seconds: steps.seconds, bytesPulled: layers.bytesPulled };
}

/** Why work is given up that a build had begun and needs no more. Nobody gets to see it. */
class BuildOver extends Error {
  override readonly message = 'the build is over';
}

/** Runs steps, measures them, and turns what they throw into {@link BuildError}. */
class Steps {
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
    if (this.#seconds[step] === undefined) report({ kind: 'step', step });
    try {
      signal.throwIfAborted();
      return await action();
    } catch (error) {
      throw buildErrorOf(step, signal.aborted ? signal.reason : error);
    } finally {
      this.#seconds[step] = (this.#seconds[step] ?? 0) + (now().getTime() - begun) / 1000;
    }
  }
}

function invalid(message: string): BuildError {
  return new BuildError('configure', 'InvalidLinuxKitConfig', message);
}

function bundleEntries(plan: ImagePlan, bundles: ReturnType<typeof planBundles>): readonly GeneratedEntry[] {
  const planned = [
    ...plan.volumes.flatMap(({ entries }) => entries),
    ...bundles.flatMap(({ entries }) => entries),
  ];
  return planned.flatMap((entry) =>
    entry.type === 'source'
      ? []
      : [{ entry: plannedEntry(entry), implied: entry.type === 'directory' && entry.implied }],
  );
}

async function describe(
  input: BuildInput,
  images: ResolvedInputs,
  hash: string,
  { cmdline }: KernelStep,
  { compression, kernel, initrd, layer, members }: Assembled,
  environment: BuildEnvironment,
): Promise<BuildRecord> {
  const { architecture } = input;
  const archives = members.flatMap(({ parts }) => parts.map(({ archive }) => archive));
  const uncompressedSha256 = contentSum(archives);
  return {
    schema: 'linuxkit.dev/build/v1',
    digest: artifactDigest({
      architecture,
      compression,
      kernel: kernel.sha256,
      initrd: uncompressedSha256,
      cmdline,
    }),
    architecture,
    compression,
    created: environment.now().toISOString(),
    engine: environment.engine,
    inputsHash: hash,
    inputs: images.inputs,
    files: {
      kernel: { size: kernel.size, sha256: kernel.sha256 },
      'initrd.img': {
        size: initrd.size,
        sha256: initrd.sha256,
        uncompressedSize: archives.reduce((sum, archive) => sum + archive.size, 0),
        uncompressedSha256,
      },
      cmdline: sumOf(Buffer.from(cmdline)),
    },
    cmdline,
    bootImage: bootImage({ architecture, layers: [await kernelLayer(kernel), layer] }),
  };
}

function withEvidence(record: BuildRecord, evidence: Evidence): BuildRecord {
  const sum = ({ size, sha256 }: WorkFile): FileRecord => ({ size, sha256 });
  const sums = {
    'sbom.spdx.json': sum(evidence['sbom.spdx.json']),
    'provenance.json': sum(evidence['provenance.json']),
  };
  return { ...record, files: { ...record.files, ...sums } };
}

function kernelLayer({ path, size }: WorkFile): Promise<BootLayer> {
  return bootLayer('kernel', size, createReadStream(path));
}
