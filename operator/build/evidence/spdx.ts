import { createHash } from 'node:crypto';
import { BUILD_TIME } from '../../linuxkit/constants.ts';
import type { Digest, ResolvedImage } from '../../oci/types.ts';
import { hashOf } from '../identity.ts';
import type { Architecture, BuildRecord, FileRecord } from '../record.ts';
import { ociPurl } from './purl.ts';
import type { SpdxElement, SpdxFragment, SpdxRelationship } from './spdx-fragment.ts';
import { renamed } from './spdx-rename.ts';

/** An image that went into an artifact, and what it says of itself. */
export interface SbomInput {
  readonly image: ResolvedImage;
  /** As written in the configuration, and where: LinuxKit's own location names. */
  readonly uses: readonly { readonly location: string; readonly reference: string }[];
  readonly sboms: readonly SpdxFragment[];
  /** Why SBOMs that it carries are not in `sboms`, a sentence each. */
  readonly problems: readonly string[];
}

/** A file that was added from beside the configuration. */
export interface SbomFile {
  readonly path: string;
  readonly sha256: string;
}

const PARTS = ['kernel', 'initrd.img', 'cmdline'] as const;

/** What the document is about. Where there is no initrd, the artifact is an archive of the files themselves. */
export interface SbomArtifact extends Pick<BuildRecord, 'digest' | 'architecture' | 'engine'> {
  readonly files: Readonly<Partial<Record<(typeof PARTS)[number], Pick<FileRecord, 'sha256'>>>>;
}

/** An SPDX 2.3 document (https://spdx.github.io/spdx-spec/v2.3/), in the members that are written. */
export interface SpdxDocument {
  readonly spdxVersion: 'SPDX-2.3';
  readonly dataLicense: 'CC0-1.0';
  readonly SPDXID: 'SPDXRef-DOCUMENT';
  readonly name: string;
  readonly documentNamespace: string;
  readonly creationInfo: {
    readonly created: string;
    readonly creators: readonly string[];
    readonly comment: string;
  };
  readonly packages: readonly SpdxElement[];
  readonly files?: readonly SpdxElement[];
  readonly hasExtractedLicensingInfos?: readonly SpdxElement[];
  readonly relationships: readonly SpdxRelationship[];
}

const ARTIFACT = 'SPDXRef-Artifact';

/**
 * The SBOM of an artifact: its files, the images they were made of, and what those images' own SBOMs
 * say. The same artifact of the same inputs gives the same document: ids and namespace are derived
 * from digests, and the time that the specification demands is a fixed one.
 */
export function spdxDocument(
  artifact: SbomArtifact,
  inputs: readonly SbomInput[],
  added: readonly SbomFile[] = [],
): SpdxDocument {
  const parts = PARTS.flatMap((part) => {
    const sum = artifact.files[part];
    return sum === undefined ? [] : [filePackage(partId(part), part, sum)];
  });
  const root = artifact.files['initrd.img'] === undefined ? ARTIFACT : partId('initrd.img');
  const images = inputs.map((input) => describeInput(input, artifact.architecture, root));
  const files = added.map(({ path, sha256 }) => filePackage(addedId(path), path, { sha256 }));
  const fragments = images.flatMap(({ fragments }) => fragments);
  const content = {
    packages: [
      artifactPackage(artifact),
      ...parts,
      ...images.map(({ element }) => element),
      ...files,
      ...fragments.flatMap(({ packages }) => packages),
    ],
    ...listed(
      'files',
      fragments.flatMap(({ files }) => files),
    ),
    ...listed(
      'hasExtractedLicensingInfos',
      fragments.flatMap(({ licenses }) => licenses),
    ),
    relationships: [
      relationship('SPDXRef-DOCUMENT', 'DESCRIBES', ARTIFACT),
      ...parts.map(({ SPDXID }) => relationship(ARTIFACT, 'CONTAINS', SPDXID)),
      ...images.flatMap(({ relationships }) => relationships),
      ...added.map(({ path }) => relationship(root, 'CONTAINS', addedId(path))),
      ...fragments.flatMap(({ relationships }) => relationships),
    ],
  };
  const [, hex = ''] = artifact.digest.split(':');
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `linuxkit-${artifact.architecture}-${hex.slice(0, 12)}`,
    documentNamespace: `https://linuxkit.dev/spdx/${hex}/${hashOf(content)}`,
    creationInfo: {
      created: new Date(BUILD_TIME * 1000).toISOString().replace('.000Z', 'Z'),
      creators: [`Tool: ${artifact.engine.replace('/', '-')}`],
      comment: 'The time is a constant, so that the same inputs give the same document.',
    },
    ...content,
  };
}

/** The bytes to store. */
export function formatSpdx(document: SpdxDocument): Buffer {
  return Buffer.from(`${JSON.stringify(document, null, 1)}\n`);
}

function listed(name: string, elements: readonly SpdxElement[]) {
  return elements.length === 0 ? {} : { [name]: elements };
}

function artifactPackage({ digest, architecture }: SbomArtifact): SpdxElement {
  return {
    SPDXID: ARTIFACT,
    name: `linuxkit-${architecture}`,
    versionInfo: digest,
    ...unknownOrigin,
    primaryPackagePurpose: 'OPERATING-SYSTEM',
  };
}

/** Nothing is claimed about licences: the inputs' own SBOMs speak of them. */
const unknownOrigin = {
  supplier: 'NOASSERTION',
  downloadLocation: 'NOASSERTION',
  filesAnalyzed: false,
  licenseConcluded: 'NOASSERTION',
  licenseDeclared: 'NOASSERTION',
  copyrightText: 'NOASSERTION',
} as const;

/** A package and not a file, since SPDX wants SHA-1 of files. */
function filePackage(
  id: string,
  name: string,
  { sha256 }: Pick<FileRecord, 'sha256'>,
): SpdxElement & { readonly SPDXID: string } {
  return {
    SPDXID: id,
    name,
    versionInfo: `sha256:${sha256}`,
    packageFileName: name,
    ...unknownOrigin,
    checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }],
    primaryPackagePurpose: 'FILE',
  };
}

interface DescribedInput {
  readonly element: SpdxElement;
  readonly relationships: readonly SpdxRelationship[];
  readonly fragments: readonly SpdxFragment[];
}

/** `root` is what the image's files are in. */
function describeInput(input: SbomInput, architecture: Architecture, root: string): DescribedInput {
  const { image, uses, sboms, problems } = input;
  const { registry, repository, tag } = image.reference;
  const name = `${registry}/${repository}`;
  const key = shortHash(`${name}@${image.digest}`);
  const id = `SPDXRef-Input-${key}`;
  const fragments = sboms.map((sbom, at) => renamed(sbom, `Input-${key}-${at}`));
  const contents = fragments.flatMap(({ described, packages }) =>
    described.length > 0 ? described : packages.map(({ SPDXID }) => SPDXID),
  );
  const locations = uses.map(({ location, reference }) => `${location} (${reference})`);
  const notes = [`Used as ${locations.join(', ')}.`, ...problems];
  return {
    element: {
      SPDXID: id,
      name,
      versionInfo: tag ?? image.digest,
      ...unknownOrigin,
      checksums: [{ algorithm: 'SHA256', checksumValue: hexOf(image.digest) }],
      externalRefs: [
        {
          referenceCategory: 'PACKAGE-MANAGER',
          referenceType: 'purl',
          referenceLocator: ociPurl(image.reference, image.digest, architecture),
        },
      ],
      primaryPackagePurpose: 'CONTAINER',
      comment: notes.join('\n'),
    },
    relationships: [
      ...uses.map(({ location }) =>
        location === 'kernel'
          ? relationship(partId('kernel'), 'GENERATED_FROM', id, location)
          : relationship(root, 'CONTAINS', id, location),
      ),
      ...(contents.length === 0
        ? [relationship(id, 'CONTAINS', 'NOASSERTION')]
        : contents.map((content) => relationship(id, 'CONTAINS', content))),
    ],
    fragments,
  };
}

function relationship(
  spdxElementId: string,
  relationshipType: string,
  relatedSpdxElement: string,
  comment?: string,
): SpdxRelationship {
  return {
    spdxElementId,
    relationshipType,
    relatedSpdxElement,
    ...(comment === undefined ? {} : { comment }),
  };
}

function partId(part: (typeof PARTS)[number]): string {
  return `SPDXRef-File-${part}`;
}

function addedId(path: string): string {
  return `SPDXRef-Added-${shortHash(path)}`;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
