import { join } from 'node:path';
import type { ResolvedImage } from '../../oci/types.ts';
import type { AddedFiles } from '../added-files.ts';
import type { BuildInput } from '../prepare.ts';
import type { BuildRecord } from '../record.ts';
import type { ResolvedInputs } from '../resolve.ts';
import type { EVIDENCE_FILES } from '../result-files.ts';
import { copyToFile, type WorkFile } from '../work-file.ts';
import { type AttestationSource, fetchInputSboms, type InputSboms } from './input-sboms.ts';
import { formatProvenance, type ProvenanceInput, provenanceStatement } from './provenance.ts';
import { formatSpdx, type SbomArtifact, type SbomInput, spdxDocument } from './spdx.ts';

export type Evidence = Readonly<Record<(typeof EVIDENCE_FILES)[number], WorkFile>>;

/** An image of the build, once for each digest and repository, with all its uses and its own SBOMs. */
export interface EvidenceInput {
  readonly image: ResolvedImage;
  readonly uses: SbomInput['uses'];
}

/** The different images of a build, in the order of their first uses. */
export function evidenceInputs(images: ResolvedInputs): readonly EvidenceInput[] {
  const groups = Map.groupBy(images.inputs, ({ location }) => {
    const { reference, digest } = images.at(location);
    return `${reference.registry}/${reference.repository}@${digest}`;
  });
  return [...groups.values()].flatMap((uses) => {
    const [first] = uses;
    return first === undefined ? [] : [{ image: images.at(first.location), uses }];
  });
}

/** What images say of themselves, while it is being fetched; disposing of it ends that. */
export interface PendingSboms extends Disposable {
  readonly sboms: Promise<readonly InputSboms[]>;
}

export function beginInputSboms(
  inputs: readonly EvidenceInput[],
  source: AttestationSource,
  signal: AbortSignal,
): PendingSboms {
  const over = new AbortController();
  const images = inputs.map(({ image }) => image);
  const sboms = fetchInputSboms(images, source, AbortSignal.any([signal, over.signal]));
  // A build that fails elsewhere never asks for them.
  sboms.catch(() => undefined);
  return { sboms, [Symbol.dispose]: () => over.abort() };
}

/** What is known of a build besides what came of it. */
export interface EvidenceFacts {
  readonly input: BuildInput;
  readonly images: ResolvedInputs;
  readonly inputs: readonly EvidenceInput[];
  readonly sboms: readonly InputSboms[];
  readonly files: AddedFiles['sums'];
}

/** The bytes of an SBOM. */
export function sbomBytes(artifact: SbomArtifact, { inputs, sboms, files }: EvidenceFacts): Buffer {
  const described = inputs.map(
    (used, at): SbomInput => ({ ...used, ...(sboms[at] ?? { sboms: [], problems: [] }) }),
  );
  const added = files.map(({ path, sum }) => ({ path, sha256: sum.sha256 }));
  return formatSpdx(spdxDocument(artifact, described, added));
}

export function provenanceInput({ input, images, files }: EvidenceFacts): ProvenanceInput {
  return {
    ...input,
    images: images.inputs.map((used) => ({ ...used, image: images.at(used.location) })),
    files,
  };
}

/** Writes SBOM and provenance of a build to its work folder. */
export async function writeEvidence(
  record: BuildRecord,
  facts: EvidenceFacts,
  options: { readonly workFolder: string; readonly signal: AbortSignal },
): Promise<Evidence> {
  const write = (name: (typeof EVIDENCE_FILES)[number], bytes: Buffer): Promise<WorkFile> =>
    copyToFile(join(options.workFolder, name), [bytes], options.signal);
  const provenance = provenanceStatement(record, provenanceInput(facts));
  return {
    'sbom.spdx.json': await write('sbom.spdx.json', sbomBytes(record, facts)),
    'provenance.json': await write('provenance.json', formatProvenance(provenance)),
  };
}
