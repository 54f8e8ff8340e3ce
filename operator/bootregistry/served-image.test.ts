import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { BootImageRecord, BuildRecord } from '../build/record.ts';
import { sha256Digest } from '../oci/types.ts';
import { makeArtifact } from './artifact-under-test.ts';
import { servedImageOf } from './served-image.ts';

const { record } = await makeArtifact(Buffer.from('kernel'), Buffer.from('initrd'));
const other = sha256Digest('0'.repeat(64));

/** The record with another manifest, whose digest is right. */
function withManifest(change: (manifest: Record<string, unknown>) => object): BuildRecord {
  const manifest = JSON.stringify(change(JSON.parse(record.bootImage.manifest) as Record<string, unknown>));
  const digest = sha256Digest(createHash('sha256').update(manifest).digest('hex'));
  return { ...record, bootImage: { ...record.bootImage, manifest, digest } };
}

function withBootImage(changes: Partial<BootImageRecord>): BuildRecord {
  return { ...record, bootImage: { ...record.bootImage, ...changes } };
}

const [kernel, initrd] = record.bootImage.layers;

describe('servedImageOf', () => {
  it('takes a record that a build wrote', () => {
    const made = servedImageOf(record);
    expect(made).toMatchObject({ image: { digest: record.bootImage.digest, artifact: record.digest } });
    expect(
      'image' in made && made.image.layers.map(({ file, objectSha256 }) => [file, objectSha256]),
    ).toEqual([
      ['kernel', record.files.kernel.sha256],
      ['initrd.img', record.files['initrd.img'].sha256],
    ]);
  });

  it.each<[string, BuildRecord, string]>([
    [
      'another manifest than its digest says',
      withBootImage({ manifest: `${record.bootImage.manifest} ` }),
      'does not have digest',
    ],
    ['another digest', withBootImage({ digest: other }), 'does not have digest'],
    ['another configuration', withBootImage({ config: '{}' }), 'names another configuration'],
    [
      'layers in another order',
      withBootImage({ layers: record.bootImage.layers.toReversed() }),
      'names other layers',
    ],
    ['no layers', withBootImage({ layers: [] }), 'names other layers'],
    [
      'an index for a manifest',
      withManifest(() => ({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [],
      })),
      'not one of an OCI image',
    ],
    [
      "Docker's media type",
      withManifest((manifest) => ({
        ...manifest,
        mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      })),
      'not one of an OCI image',
    ],
    ['no JSON', withManifest(() => []), 'manifest'],
    [
      'a layer of another size than its file gives',
      { ...record, files: { ...record.files, kernel: { ...record.files.kernel, size: 6000 } } },
      'layer kernel has',
    ],
  ])('refuses %s', (_, changed, problem) => {
    const made = servedImageOf(changed);
    expect('problem' in made && made.problem).toContain(problem);
  });

  it('refuses one layer twice', () => {
    if (kernel === undefined || initrd === undefined) throw new Error('two layers are made');
    const twice = withManifest((manifest) => {
      const [first] = manifest['layers'] as [object];
      return { ...manifest, layers: [first, first] };
    });
    const made = servedImageOf({ ...twice, bootImage: { ...twice.bootImage, layers: [kernel, kernel] } });
    expect('problem' in made && made.problem).toContain('one layer for the kernel and one for the initrd');
  });
});
