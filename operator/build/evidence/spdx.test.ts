import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { hex, RECORD, resolvedImage, SCANNED } from './examples.ts';
import { formatSpdx, type SbomInput, spdxDocument } from './spdx.ts';
import { parseSpdx, type SpdxFragment } from './spdx-fragment.ts';

const id = z.string().regex(/^SPDXRef-[A-Za-z0-9.-]+$/);
/** What SPDX 2.3 demands of a JSON document, in the parts that are written here. */
const valid = z.strictObject({
  spdxVersion: z.literal('SPDX-2.3'),
  dataLicense: z.literal('CC0-1.0'),
  SPDXID: z.literal('SPDXRef-DOCUMENT'),
  name: z.string().min(1),
  documentNamespace: z.url().regex(/^[^#]*$/),
  creationInfo: z.strictObject({
    created: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    creators: z.array(z.string().regex(/^(Tool|Organization|Person): \S/)).min(1),
    comment: z.string(),
  }),
  packages: z.array(z.looseObject({ SPDXID: id, name: z.string().min(1), downloadLocation: z.string() })),
  files: z
    .array(z.looseObject({ SPDXID: id, fileName: z.string(), checksums: z.array(z.unknown()).min(1) }))
    .optional(),
  hasExtractedLicensingInfos: z
    .array(
      z.looseObject({
        licenseId: z.string().regex(/^LicenseRef-[A-Za-z0-9.-]+$/),
        extractedText: z.string(),
      }),
    )
    .optional(),
  relationships: z.array(
    z.strictObject({
      spdxElementId: id,
      relationshipType: z.string(),
      relatedSpdxElement: id.or(z.enum(['NONE', 'NOASSERTION'])),
      comment: z.string().optional(),
    }),
  ),
});

function check(document: unknown): z.infer<typeof valid> {
  const checked = valid.parse(document);
  const elements = [...checked.packages, ...(checked.files ?? [])].map(({ SPDXID }) => SPDXID);
  expect(new Set(elements).size).toBe(elements.length);
  const known = new Set([...elements, 'SPDXRef-DOCUMENT', 'NONE', 'NOASSERTION']);
  for (const { spdxElementId, relatedSpdxElement } of checked.relationships) {
    expect(known).toContain(spdxElementId);
    expect(known).toContain(relatedSpdxElement);
  }
  const licenses = new Set((checked.hasExtractedLicensingInfos ?? []).map(({ licenseId }) => licenseId));
  for (const [name] of JSON.stringify(checked).matchAll(/LicenseRef-[A-Za-z0-9.-]+/g))
    expect(licenses).toContain(name);
  return checked;
}

function fragment(value: unknown): SpdxFragment {
  const parsed = parseSpdx(value);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.sbom;
}

const use = (location: string, reference: string) => ({ location, reference });
const KERNEL: SbomInput = {
  image: resolvedImage('linuxkit/kernel:6.1'),
  uses: [use('kernel', 'linuxkit/kernel:6.1')],
  sboms: [],
  problems: [],
};
const SSHD: SbomInput = {
  image: resolvedImage('registry.example/sshd:1'),
  uses: [use('services[0]', 'registry.example/sshd:1'), use('services[2]', 'registry.example/sshd:1')],
  sboms: [fragment(SCANNED)],
  problems: [],
};

describe('the SBOM of an artifact', () => {
  it('is a valid document that names its files and inputs', () => {
    const document = check(spdxDocument(RECORD, [KERNEL], [{ path: 'etc/motd', sha256: hex('hello') }]));
    expect(document.packages.map(({ name }) => name)).toEqual([
      'linuxkit-amd64',
      'kernel',
      'initrd.img',
      'cmdline',
      'docker.io/linuxkit/kernel',
      'etc/motd',
    ]);
    const [, kernel, , , input] = document.packages;
    expect(kernel).toMatchObject({
      checksums: [{ algorithm: 'SHA256', checksumValue: RECORD.files.kernel.sha256 }],
      primaryPackagePurpose: 'FILE',
    });
    const purl = `pkg:oci/kernel@${KERNEL.image.digest}?arch=amd64&repository_url=docker.io%2Flinuxkit%2Fkernel&tag=6.1`;
    expect(input).toMatchObject({
      versionInfo: '6.1',
      checksums: [{ algorithm: 'SHA256', checksumValue: KERNEL.image.digest.slice(7) }],
      externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
      comment: 'Used as kernel (linuxkit/kernel:6.1).',
    });
    expect(document.relationships).toContainEqual(
      expect.objectContaining({ relationshipType: 'GENERATED_FROM', relatedSpdxElement: input?.SPDXID }),
    );
  });

  it('takes over what an input says of itself, under names of its own', () => {
    const document = check(spdxDocument(RECORD, [KERNEL, SSHD]));
    const busybox = document.packages.find(({ name }) => name === 'busybox');
    const file = document.files?.[0];
    expect(busybox).toMatchObject({
      versionInfo: '1.36.1',
      licenseDeclared: expect.stringMatching(/^GPL-2.0-only AND LicenseRef-Input-[0-9a-f]{16}-0-own$/),
      hasFiles: [file?.SPDXID],
    });
    expect(file).toMatchObject({ fileName: './bin/busybox' });
    const sshd = document.packages.find(({ name }) => name === 'registry.example/sshd');
    const root = document.packages.find(({ name }) => name === 'sbom');
    const initrd = document.packages.find(({ name }) => name === 'initrd.img');
    const edge = (from: unknown, type: string, to: unknown) => ({
      spdxElementId: from,
      relationshipType: type,
      relatedSpdxElement: to,
    });
    expect(document.relationships).toContainEqual(edge(sshd?.SPDXID, 'CONTAINS', root?.SPDXID));
    expect(document.relationships).toContainEqual(edge(root?.SPDXID, 'CONTAINS', busybox?.SPDXID));
    for (const comment of ['services[0]', 'services[2]'])
      expect(document.relationships).toContainEqual({
        ...edge(initrd?.SPDXID, 'CONTAINS', sshd?.SPDXID),
        comment,
      });
  });

  it('says of an input without an SBOM that its contents are not known, and why one was left out', () => {
    const problems = ['Its SBOM is not merged: it is not JSON.'];
    const document = check(spdxDocument(RECORD, [{ ...KERNEL, problems }]));
    const input = document.packages.find(({ name }) => name === 'docker.io/linuxkit/kernel');
    expect(input?.['comment']).toBe(`Used as kernel (linuxkit/kernel:6.1).\n${problems[0]}`);
    expect(document.relationships).toContainEqual({
      spdxElementId: input?.SPDXID,
      relationshipType: 'CONTAINS',
      relatedSpdxElement: 'NOASSERTION',
    });
  });

  it('keeps two documents of the same ids apart', () => {
    const other = { ...SSHD, image: resolvedImage('registry.example/other:1') };
    const both = { ...SSHD, sboms: [fragment(SCANNED), fragment(SCANNED)] };
    const document = check(spdxDocument(RECORD, [both, other]));
    expect(document.packages.filter(({ name }) => name === 'busybox')).toHaveLength(3);
    expect(document.hasExtractedLicensingInfos).toHaveLength(3);
  });

  it('is the same for the same inputs, and has another namespace for others', () => {
    const first = formatSpdx(spdxDocument(RECORD, [KERNEL, SSHD]));
    expect(formatSpdx(spdxDocument(RECORD, [KERNEL, SSHD]))).toEqual(first);
    const namespaces = [
      spdxDocument(RECORD, [KERNEL, SSHD]),
      spdxDocument(RECORD, [KERNEL]),
      spdxDocument({ ...RECORD, digest: KERNEL.image.digest }, [KERNEL]),
      spdxDocument(RECORD, [KERNEL, { ...SSHD, sboms: [] }]),
    ].map(({ documentNamespace }) => documentNamespace);
    expect(new Set(namespaces).size).toBe(4);
  });

  it('stays valid with any ids and licences that an input may use', () => {
    const name = fc.string({ minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { minLength: 1, maxLength: 8 }),
        fc.uniqueArray(name),
        (ids, licenses) => {
          const packages = ids.map((SPDXID) => ({
            SPDXID,
            name: 'p',
            downloadLocation: 'NONE',
            hasFiles: ids,
          }));
          const relationships = ids.map((other) => ({
            spdxElementId: ids[0],
            relationshipType: 'DEPENDS_ON',
            relatedSpdxElement: other,
          }));
          const hasExtractedLicensingInfos = licenses.map((licenseId) => ({ licenseId, extractedText: 'x' }));
          const sbom = fragment({
            spdxVersion: 'SPDX-2.3',
            packages,
            relationships,
            hasExtractedLicensingInfos,
          });
          const document = check(spdxDocument(RECORD, [{ ...SSHD, sboms: [sbom] }]));
          expect(document.packages).toHaveLength(5 + ids.length);
        },
      ),
    );
  });
});
