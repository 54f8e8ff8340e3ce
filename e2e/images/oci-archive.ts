import type { Readable } from 'node:stream';

import type { Digest } from '../../operator/oci/types.ts';
import { type Entry, file, withParents } from './entry.ts';
import { indexDocument } from './oci-layout.ts';
import type { WrittenImage } from './oci-writer.ts';
import { tarball } from './tarball.ts';

/**
 * One tar that both `ctr images import` (OCI layout) and `docker load` (`manifest.json`, for
 * single images) take. `reference` is the full name with tag that the image will have there.
 */
export function archiveImage(image: WrittenImage, reference: string, signal?: AbortSignal): Readable {
  const digests = new Map<string, Digest>();
  for (const { digest } of [...image.content, image.descriptor]) digests.set(blobPath(digest), digest);
  const blobs = [...digests].map(
    ([path, digest]): Entry => file(path, { disk: image.layout.pathOf(digest) }),
  );
  const entries: Entry[] = [
    ...blobs,
    file('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' })),
    file('index.json', JSON.stringify(indexDocument([{ descriptor: image.descriptor, tag: reference }]))),
  ];
  if (image.single !== undefined) {
    entries.push(
      file(
        'manifest.json',
        JSON.stringify([
          {
            Config: blobPath(image.single.config.digest),
            RepoTags: [reference],
            Layers: image.single.layers.map((layer) => blobPath(layer.digest)),
          },
        ]),
      ),
    );
  }
  return tarball(withParents(entries), signal);
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}
