import * as z from 'zod';

/** A package, file or extracted licence of somebody else's document: its own fields, kept as they are. */
export type SpdxElement = Readonly<Record<string, unknown>>;

export interface SpdxRelationship {
  readonly spdxElementId: string;
  readonly relationshipType: string;
  readonly relatedSpdxElement: string;
  readonly comment?: string;
}

/** What a document of somebody else says that another document can take over. */
export interface SpdxFragment {
  readonly packages: readonly (SpdxElement & { readonly SPDXID: string })[];
  readonly files: readonly (SpdxElement & { readonly SPDXID: string })[];
  readonly licenses: readonly (SpdxElement & { readonly licenseId: string })[];
  /** Between elements of the fragment, or from one to NONE or NOASSERTION. */
  readonly relationships: readonly SpdxRelationship[];
  /** Ids of what the document is about. */
  readonly described: readonly string[];
}

const DOCUMENT = 'SPDXRef-DOCUMENT';
const NOTHING: ReadonlySet<string> = new Set(['NONE', 'NOASSERTION']);

const element = z.looseObject({ SPDXID: z.string().min(1).max(1024) });
const packageElement = element.extend({ name: z.string() });
const fileElement = element.extend({ fileName: z.string() });
const license = z.looseObject({ licenseId: z.string().min(1).max(1024) });
const relationship = z.object({
  spdxElementId: z.string(),
  relationshipType: z.string().regex(/^[A-Z_]+$/),
  relatedSpdxElement: z.string(),
  comment: z.string().exactOptional(),
});
const document = z.object({
  spdxVersion: z.enum(['SPDX-2.2', 'SPDX-2.3'], 'must be SPDX-2.2 or SPDX-2.3'),
  packages: z.array(packageElement).default([]),
  files: z.array(fileElement).default([]),
  hasExtractedLicensingInfos: z.array(license).default([]),
  relationships: z.array(relationship).default([]),
  documentDescribes: z.array(z.string()).default([]),
});

/** Reads an SPDX document (SPDX 2.2 or 2.3, JSON), or says what is wrong with it. */
export function parseSpdx(value: unknown): { readonly sbom: SpdxFragment } | { readonly problem: string } {
  const parsed = document.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { problem: `is no SPDX document: ${issue?.path.join('.') || 'the document'}: ${issue?.message}` };
  }
  const { packages, files, relationships, hasExtractedLicensingInfos, documentDescribes } = parsed.data;
  const elements = [...packages, ...files].map(({ SPDXID }) => SPDXID);
  const ids = new Set(elements);
  if (ids.size !== elements.length) return { problem: 'is no SPDX document: two elements have the same id' };
  const described = relationships.flatMap(({ spdxElementId, relationshipType, relatedSpdxElement }) => {
    if (spdxElementId === DOCUMENT && relationshipType === 'DESCRIBES') return [relatedSpdxElement];
    return relatedSpdxElement === DOCUMENT && relationshipType === 'DESCRIBED_BY' ? [spdxElementId] : [];
  });
  return {
    sbom: {
      packages,
      files,
      licenses: hasExtractedLicensingInfos,
      // Those of the document itself, and those that lead to other documents, mean nothing elsewhere.
      relationships: relationships.filter(
        ({ spdxElementId, relatedSpdxElement }) =>
          ids.has(spdxElementId) && (ids.has(relatedSpdxElement) || NOTHING.has(relatedSpdxElement)),
      ),
      described: [...new Set([...documentDescribes, ...described])].filter((id) => ids.has(id)),
    },
  };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
