import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { type Descriptor, type Digest, sha256Digest } from '../../operator/oci/types.ts';

/** Counts and hashes what flows through it. */
export function meter(): { readonly through: Transform; result(): { digest: Digest; size: number } } {
  const hash = createHash('sha256');
  let size = 0;
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.byteLength;
      done(null, chunk);
    },
  });
  return { through, result: () => ({ digest: sha256Digest(hash.digest('hex')), size }) };
}

/** A folder in OCI image layout (image-spec, image-layout.md): blobs by digest, shared by many images. */
export class OciLayout {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  pathOf(digest: Digest): string {
    return join(this.folder, 'blobs', 'sha256', digest.slice('sha256:'.length));
  }

  async has(digest: Digest): Promise<boolean> {
    return access(this.pathOf(digest)).then(
      () => true,
      () => false,
    );
  }

  read(digest: Digest): Readable {
    return createReadStream(this.pathOf(digest));
  }

  /** Stores what the stream yields under its own digest; a blob is complete or not there. */
  async write(source: Readable, ...stages: readonly Transform[]): Promise<{ digest: Digest; size: number }> {
    const blobs = join(this.folder, 'blobs', 'sha256');
    await mkdir(blobs, { recursive: true });
    const staging = join(blobs, `.${randomBytes(8).toString('hex')}`);
    const counter = meter();
    try {
      await pipeline([source, ...stages, counter.through, createWriteStream(staging)]);
      const result = counter.result();
      await rename(staging, this.pathOf(result.digest));
      return result;
    } catch (thrown) {
      await rm(staging, { force: true });
      throw thrown;
    }
  }

  /** Stores a JSON document and gives its descriptor. */
  async writeJson(mediaType: string, document: unknown): Promise<Descriptor> {
    const bytes = Buffer.from(JSON.stringify(document));
    return { mediaType, ...(await this.write(Readable.from([bytes], { objectMode: false }))) };
  }

  /** Writes `oci-layout` and an `index.json` naming these manifests by tag. */
  async writeIndexFile(
    manifests: readonly { readonly descriptor: Descriptor; readonly tag: string }[],
  ): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await writeFile(join(this.folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    await writeFile(join(this.folder, 'index.json'), JSON.stringify(indexDocument(manifests)));
  }
}

export function indexDocument(
  manifests: readonly { readonly descriptor: Descriptor; readonly tag: string }[],
): Readonly<Record<string, unknown>> {
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: manifests.map(({ descriptor, tag }) => ({
      ...descriptor,
      annotations: {
        ...descriptor.annotations,
        'org.opencontainers.image.ref.name': tag,
        'io.containerd.image.name': tag,
      },
    })),
  };
}
