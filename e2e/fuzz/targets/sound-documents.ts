import type { BuildRecord } from '../../../operator/build/record.ts';
import { sha256Digest } from '../../../operator/oci/types.ts';

const hex = 'b'.repeat(64);
const digest = sha256Digest(hex);
const file = { size: 1, sha256: hex };

const record: BuildRecord = {
  schema: 'linuxkit.dev/build/v1',
  digest,
  architecture: 'amd64',
  compression: 'zstd',
  created: '2026-01-01T00:00:00.000Z',
  engine: 'linuxkit-operator/1',
  inputsHash: hex,
  inputs: [{ location: 'kernel', reference: 'kernel:1', digest }],
  files: {
    kernel: file,
    'initrd.img': { ...file, uncompressedSize: 2, uncompressedSha256: hex },
    cmdline: file,
    'sbom.spdx.json': file,
  },
  cmdline: 'console=ttyS0',
  bootImage: { digest, manifest: '{}', config: '{}', layers: [{ file: 'kernel', digest, size: 1 }] },
};

const statement = {
  _type: 'https://in-toto.io/Statement/v1',
  predicateType: 'https://spdx.dev/Document',
  subject: [{ name: 'image', digest: { sha256: hex } }],
  predicate: {
    spdxVersion: 'SPDX-2.3',
    SPDXID: 'SPDXRef-DOCUMENT',
    packages: [{ SPDXID: 'SPDXRef-a', name: 'a', licenseDeclared: 'LicenseRef-x' }],
    files: [{ SPDXID: 'SPDXRef-b', fileName: '/b' }],
    hasExtractedLicensingInfos: [{ licenseId: 'LicenseRef-x', extractedText: 'x' }],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: 'SPDXRef-a' },
      { spdxElementId: 'SPDXRef-a', relationshipType: 'CONTAINS', relatedSpdxElement: 'SPDXRef-b' },
    ],
  },
};

/** Documents that are as they should be. */
export const examples = { record, statement };
