import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { BuildRecord } from '../build/record.ts';
import { type BootFile, bootImage, bootLayer, bootLayerFrame } from '../oci/boot-image.ts';
import { type Digest, sha256Digest } from '../oci/types.ts';
import { ARTIFACT_FILES, artifactKey, inNamespace } from '../storage/layout.ts';
import type { ObjectWriter } from '../storage/store.ts';

/** An artifact as a build makes it, for tests. */
export interface ArtifactUnderTest {
  readonly record: BuildRecord;
  readonly files: Readonly<Record<BootFile | 'cmdline' | 'sbom.spdx.json' | 'provenance.json', Buffer>>;
  /** The bytes of each layer, composed in memory. */
  readonly layers: Readonly<Record<BootFile, Buffer>>;
}

export async function makeArtifact(kernel: Buffer, initrd: Buffer): Promise<ArtifactUnderTest> {
  const files = {
    kernel,
    'initrd.img': initrd,
    cmdline: Buffer.from('console=ttyS0'),
    'sbom.spdx.json': Buffer.from(`{"spdxVersion":"SPDX-2.3","name":"${hex(initrd)}"}\n`),
    'provenance.json': Buffer.from(`{"_type":"https://in-toto.io/Statement/v1","name":"${hex(initrd)}"}\n`),
  };
  const layers = [
    await bootLayer('kernel', kernel.length, Readable.from([kernel])),
    await bootLayer('initrd.img', initrd.length, Readable.from([initrd])),
  ];
  const fileOf = (bytes: Buffer) => ({ size: bytes.length, sha256: hex(bytes) });
  const digest = sha256Digest(hex(Buffer.concat([kernel, initrd])));
  const record: BuildRecord = {
    schema: 'linuxkit.dev/build/v1',
    digest,
    architecture: 'amd64',
    compression: 'zstd',
    created: '2026-11-24T12:00:00Z',
    engine: 'test',
    inputsHash: hex(initrd),
    inputs: [],
    files: {
      kernel: fileOf(kernel),
      'initrd.img': { ...fileOf(initrd), uncompressedSize: initrd.length, uncompressedSha256: hex(initrd) },
      cmdline: fileOf(files.cmdline),
      'sbom.spdx.json': fileOf(files['sbom.spdx.json']),
      'provenance.json': fileOf(files['provenance.json']),
    },
    cmdline: 'console=ttyS0',
    bootImage: bootImage({ architecture: 'amd64', layers }),
  };
  const composed = (file: BootFile) => {
    const frame = bootLayerFrame(file, files[file].length);
    return Buffer.concat([frame.header, files[file], Buffer.alloc(frame.zeros)]);
  };
  return { record, files, layers: { kernel: composed('kernel'), 'initrd.img': composed('initrd.img') } };
}

/** Stores what is given, under the names that the layout gives to an artifact of `record.digest`. */
export async function storeArtifact(
  store: ObjectWriter,
  name: { readonly namespace: string; readonly image: string },
  artifact: { readonly record: BuildRecord; readonly files: Readonly<Record<string, Buffer>> },
  signal: AbortSignal,
): Promise<Digest> {
  const { record, files } = artifact;
  const contents: Readonly<Record<string, Buffer>> = {
    ...files,
    'build.json': Buffer.from(JSON.stringify(record)),
  };
  for (const file of ARTIFACT_FILES) {
    const bytes = contents[file];
    if (bytes === undefined) continue;
    const key = inNamespace(name.namespace, artifactKey(name.image, record.digest, file));
    await store.put(
      key,
      { size: bytes.length, sha256: hex(bytes), open: () => Readable.from([bytes]) },
      { signal },
    );
  }
  return record.digest;
}

function hex(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
