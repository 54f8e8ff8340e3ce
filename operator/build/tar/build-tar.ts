import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { planBundles } from '../../linuxkit/bundle.ts';
import { file } from '../../linuxkit/entries.ts';
import { fileOrigins } from '../../linuxkit/files.ts';
import type { RegularFileNode } from '../../oci/file-tree.ts';
import { LayerStore } from '../../oci/layer-store.ts';
import { sha256Digest } from '../../oci/types.ts';
import { BuildThread } from '../build-thread.ts';
import {
  beginInputSboms,
  type EvidenceFacts,
  evidenceInputs,
  provenanceInput,
  sbomBytes,
} from '../evidence/evidence.ts';
import { formatProvenance, tarProvenance } from '../evidence/provenance.ts';
import { type GeneratedEntry, generatedEntries, mergeGenerated } from '../generated.ts';
import { type ImageTree, nodeBytes } from '../image-tree.ts';
import { OpenTrees } from '../open-trees.ts';
import type { PreparedBuild, StepSeconds } from '../prepare.ts';
import { Pulls } from '../pulls.ts';
import type { TAR_FILES } from '../result-files.ts';
import { memberSources } from '../sources.ts';
import { sumOf } from '../sum.ts';
import { copyToFile, createFile, type WorkFile } from '../work-file.ts';
import { type LocatedSection, writeTar } from './archive.ts';
import { imageSections } from './sections.ts';

export interface TarResult {
  /** In the work folder. */
  readonly files: Readonly<Record<(typeof TAR_FILES)[number], WorkFile>>;
  readonly seconds: StepSeconds;
  readonly bytesPulled: number;
}

/**
 * Makes LinuxKit's format `tar`: the root file system as one archive, kernel and command line in `boot`,
 * the SBOM its last entry. Nothing of it comes from a cache, since members there have no extended
 * attributes. The same inputs give the same bytes. Throws {@link BuildError}.
 */
export async function buildTar(prepared: PreparedBuild): Promise<TarResult> {
  const { environment, plan, images, steps, input, added } = prepared;
  const { limits, signal, workFolder } = environment;
  const inputs = evidenceInputs(images);
  using evidence = beginInputSboms(inputs, environment.images, signal);
  const ending = new AbortController();
  const working = AbortSignal.any([signal, ending.signal]);
  await using thread = new BuildThread(working);
  await using layers = new LayerStore({
    source: environment.images,
    directory: workFolder,
    limits,
    indexer: thread.indexLayer,
    onPull: new Pulls(environment).begin,
  });
  using _over = { [Symbol.dispose]: () => ending.abort(new Error('the build is over')) };
  // Awaited here: what is disposed of below is in use until then.
  return await steps.run('assemble', async () => {
    await using trees = new OpenTrees({ layers, limits, signal: working });
    const bundles = planBundles(
      input.config,
      plan.containers,
      ({ location }) => images.at(location).config.config,
    );
    const sources = memberSources(plan, prepared.kernel, bundles, images);
    // All are wanted; pulls begin in the order in which they are written.
    for (const source of sources) trees.announce(source);
    const facts: EvidenceFacts = { input, images, inputs, sboms: await evidence.sboms, files: added.sums };
    const { kernel } = await trees.openKernel(sources[0]);
    const sections = [
      ...(await imageSections(prepared, bundles, sources, trees)),
      fileSection(prepared),
      await sbomSection(prepared, kernel.binary, facts),
    ];
    const path = join(workFolder, 'image.tar');
    const sum = await createFile(path, (sink) => writeTar(sections, working, sink));
    const provenance = tarProvenance(
      { engine: environment.engine, inputsHash: prepared.hash, name: 'image.tar', sha256: sum.sha256 },
      provenanceInput(facts),
    );
    return {
      files: {
        'image.tar': { path, ...sum },
        'image.tar.provenance.json': await copyToFile(
          `${path}.provenance.json`,
          [formatProvenance(provenance)],
          signal,
        ),
      },
      seconds: steps.seconds,
      bytesPulled: layers.bytesPulled,
    };
  });
}

function fileSection({ input, added }: PreparedBuild): LocatedSection {
  const origins = fileOrigins(input.config);
  return {
    location: 'files',
    source: 'linuxkit.files',
    locationOf: (path) => (origins.has(path) ? `files[${origins.get(path)}]` : 'files'),
    ...treeOf(mergeGenerated(added.entries)),
  };
}

function treeOf(generated: readonly GeneratedEntry[]): ImageTree {
  return {
    entries: generated.map(({ entry }) => entry),
    implied: new Set(generated.flatMap(({ entry, implied }) => (implied ? [entry.path] : []))),
  };
}

/** The archive cannot name its own sum: it is named by the hash of what it is made of. */
async function sbomSection(
  { hash, input, environment, kernel }: PreparedBuild,
  binary: RegularFileNode,
  facts: EvidenceFacts,
): Promise<LocatedSection> {
  const sum = createHash('sha256');
  for await (const bytes of nodeBytes(binary)) sum.update(bytes);
  const artifact = {
    digest: sha256Digest(hash),
    architecture: input.architecture,
    engine: environment.engine,
    files: { kernel: { sha256: sum.digest('hex') }, cmdline: sumOf(Buffer.from(kernel.cmdline)) },
  };
  const text = sbomBytes(artifact, facts).toString();
  return {
    location: 'sbom',
    anonymous: true,
    ...treeOf(generatedEntries([file('sbom.spdx.json', text)])),
  };
}
