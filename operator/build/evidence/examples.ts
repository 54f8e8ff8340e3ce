import { createHash } from 'node:crypto';
import { parseReference } from '../../oci/reference.ts';
import { type Digest, type ResolvedImage, sha256Digest } from '../../oci/types.ts';
import type { BuildRecord } from '../record.ts';

/** Values for tests of this folder. */

export function hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function digest(text: string): Digest {
  return sha256Digest(hex(text));
}

export function resolvedImage(reference: string, more: Partial<ResolvedImage> = {}): ResolvedImage {
  return {
    reference: parseReference(reference),
    digest: digest(reference),
    config: { architecture: 'amd64', os: 'linux', config: {}, diffIds: [] },
    layers: [],
    ...more,
  };
}

const file = (text: string): { readonly size: number; readonly sha256: string } => ({
  size: text.length,
  sha256: hex(text),
});

export const RECORD: BuildRecord = {
  schema: 'linuxkit.dev/build/v1',
  digest: digest('artifact'),
  architecture: 'amd64',
  compression: 'zstd',
  created: '2026-01-01T00:00:00Z',
  engine: 'linuxkit-operator/1.2.3',
  inputsHash: hex('inputs'),
  inputs: [],
  files: {
    kernel: file('kernel'),
    'initrd.img': { ...file('initrd'), uncompressedSize: 10, uncompressedSha256: hex('content') },
    cmdline: file('cmdline'),
  },
  cmdline: 'cmdline',
  bootImage: { digest: digest('boot'), manifest: '', config: '', layers: [] },
};

/** A document as scanners of images write them: two packages, a file, an own licence. */
export const SCANNED = {
  spdxVersion: 'SPDX-2.3',
  dataLicense: 'CC0-1.0',
  SPDXID: 'SPDXRef-DOCUMENT',
  name: 'sbom',
  documentNamespace: 'https://example.org/sbom/1',
  creationInfo: { created: '2026-01-02T03:04:05Z', creators: ['Tool: scanner-1.0'] },
  packages: [
    {
      SPDXID: 'SPDXRef-DocumentRoot',
      name: 'sbom',
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
    },
    {
      SPDXID: 'SPDXRef-Package-busybox',
      name: 'busybox',
      versionInfo: '1.36.1',
      downloadLocation: 'NOASSERTION',
      packageVerificationCode: { packageVerificationCodeValue: 'b'.repeat(40) },
      licenseDeclared: 'GPL-2.0-only AND LicenseRef-own',
      hasFiles: ['SPDXRef-File-busybox', 'SPDXRef-File-gone'],
      externalRefs: [
        {
          referenceCategory: 'PACKAGE-MANAGER',
          referenceType: 'purl',
          referenceLocator: 'pkg:apk/alpine/busybox@1.36.1?arch=x86_64',
        },
      ],
    },
  ],
  files: [
    {
      SPDXID: 'SPDXRef-File-busybox',
      fileName: '/bin/busybox',
      checksums: [{ algorithm: 'SHA1', checksumValue: 'a'.repeat(40) }],
      licenseInfoInFiles: ['LicenseRef-own'],
    },
  ],
  hasExtractedLicensingInfos: [{ licenseId: 'LicenseRef-own', extractedText: 'as you like' }],
  relationships: [
    {
      spdxElementId: 'SPDXRef-DOCUMENT',
      relationshipType: 'DESCRIBES',
      relatedSpdxElement: 'SPDXRef-DocumentRoot',
    },
    {
      spdxElementId: 'SPDXRef-DocumentRoot',
      relationshipType: 'CONTAINS',
      relatedSpdxElement: 'SPDXRef-Package-busybox',
    },
    {
      spdxElementId: 'SPDXRef-Package-busybox',
      relationshipType: 'CONTAINS',
      relatedSpdxElement: 'SPDXRef-File-busybox',
    },
    {
      spdxElementId: 'SPDXRef-Package-busybox',
      relationshipType: 'DEPENDS_ON',
      relatedSpdxElement: 'DocumentRef-other:SPDXRef-libc',
    },
  ],
};

export function statement(image: Digest, predicate: unknown, more: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v0.1',
      predicateType: 'https://spdx.dev/Document',
      subject: [{ name: 'pkg:docker/image', digest: { sha256: image.slice('sha256:'.length) } }],
      predicate,
      ...more,
    }),
  );
}
