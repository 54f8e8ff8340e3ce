import { availableParallelism } from 'node:os';
import { planBundles } from '../linuxkit/bundle.ts';
import type { ImagePlan, KernelStep } from '../linuxkit/plan.ts';
import { type BootLayer, bootImage, bootLayer } from '../oci/boot-image.ts';
import { LayerStore } from '../oci/layer-store.ts';
import { type Assembled, assemble } from './assembly.ts';
import { BuildThread } from './build-thread.ts';
import { beginInputSboms, type Evidence, evidenceInputs, writeEvidence } from './evidence/evidence.ts';
import { chunkBuffer, fileChunks } from './file-chunks.ts';
import { type GeneratedEntry, generatedEntries } from './generated.ts';
import { artifactDigest, contentSum } from './identity.ts';
import { MemberCache } from './member-cache.ts';
import type { BuildResult } from './pipeline.ts';
import type { BuildEnvironment, BuildInput, PreparedBuild } from './prepare.ts';
import { Pulls } from './pulls.ts';
import type { BuildRecord, FileRecord } from './record.ts';
import type { ResolvedInputs } from './resolve.ts';
import { Slots } from './slots.ts';
import { memberSources } from './sources.ts';
import { sumOf } from './sum.ts';
import type { WorkFile } from './work-file.ts';

/** Makes the kernel and the initrd of a prepared build, and what is told of them. Throws {@link BuildError}. */
export async function makeArtifact(prepared: PreparedBuild): Promise<BuildResult> {
  const { input, environment, plan, kernel, images, added, hash, steps } = prepared;
  const { limits, signal, report, workFolder } = environment;
  const different = evidenceInputs(images);
  using evidence = beginInputSboms(different, environment.images, signal);
  // Ends what still goes on when the build is over: the first failure must not wait for pulls and cache
  // writes that nobody needs any more.
  const ending = new AbortController();
  const working = AbortSignal.any([signal, ending.signal]);
  await using thread = new BuildThread(working);
  const pulls = new Pulls(environment);
  await using layers = new LayerStore({
    source: environment.images,
    directory: workFolder,
    limits,
    indexer: thread.indexLayer,
    onPull: pulls.begin,
  });
  using _over = { [Symbol.dispose]: () => ending.abort(new BuildOver()) };
  const { assembled, record, statements } = await steps.run('assemble', async () => {
    const bundles = planBundles(
      input.config,
      plan.containers,
      ({ location }) => images.at(location).config.config,
    );
    const [kernelSource, ...trees] = memberSources(plan, kernel, bundles, images);
    const assembled = await assemble(
      {
        compression: input.compression,
        kernel: kernelSource,
        trees,
        bundles: bundleEntries(plan, bundles),
        files: added.entries,
      },
      {
        layers,
        limits,
        thread,
        cache: environment.cache && new MemberCache(environment.cache, { report, signal: working }),
        folder: workFolder,
        // One more than cores: a part is read and summed by one thread and compressed by others.
        slots: new Slots(availableParallelism() + 1),
        signal: working,
        report,
      },
    );
    const described = await describe(input, images, hash, kernel, assembled, environment);
    const sboms = await evidence.sboms;
    const facts = { input, images, inputs: different, sboms, files: added.sums };
    const written = await writeEvidence(described, facts, environment);
    return { assembled, record: withEvidence(described, written), statements: written };
  });
  const files = { kernel: assembled.kernel, 'initrd.img': assembled.initrd, ...statements };
  const seconds = { ...steps.seconds, ...pulls.seconds };
  return { record, inputs: images.inputs, files, seconds, bytesPulled: layers.bytesPulled };
}

/** Why work is given up that a build had begun and needs no more. Nobody gets to see it. */
class BuildOver extends Error {
  override readonly message = 'the build is over';
}

function bundleEntries(plan: ImagePlan, bundles: ReturnType<typeof planBundles>): readonly GeneratedEntry[] {
  return generatedEntries([
    ...plan.volumes.flatMap(({ entries }) => entries),
    ...bundles.flatMap(({ entries }) => entries),
  ]);
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
  return bootLayer('kernel', size, fileChunks({ path, size }, chunkBuffer()));
}
