import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type LayoutSource, layoutFiles, resolveLayout } from './image-layout.ts';
import { MEDIA_TYPES } from './manifest.ts';
import { parseReference } from './reference.ts';
import { type Descriptor, type Digest, type Platform, sha256Digest } from './types.ts';

/** What a registry would serve, by digest; the last that was added is what the tag names. */
class Documents implements LayoutSource {
  readonly #bytes = new Map<Digest, Buffer>();
  #last: Digest | undefined;
  readonly fetched: Digest[] = [];

  add(mediaType: string, content: unknown, more: Partial<Descriptor> = {}): Descriptor {
    const bytes = Buffer.from(JSON.stringify(content));
    const digest = sha256Digest(createHash('sha256').update(bytes).digest('hex'));
    this.#bytes.set(digest, bytes);
    this.#last = digest;
    return { mediaType, digest, size: bytes.length, ...more };
  }

  image(architecture: string, platform?: Platform): Descriptor {
    const config = this.add(MEDIA_TYPES.ociConfig, { architecture, os: 'linux', rootfs: { diff_ids: [] } });
    const layer = { mediaType: MEDIA_TYPES.ociLayer, digest: SHARED, size: 10 };
    const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: [layer] };
    return this.add(MEDIA_TYPES.ociManifest, manifest, platform === undefined ? {} : { platform });
  }

  index(manifests: readonly Descriptor[]): Descriptor {
    return this.add(MEDIA_TYPES.ociIndex, { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests });
  }

  async fetchDocument(reference: { readonly digest?: Digest }) {
    const digest = reference.digest ?? this.#last ?? SHARED;
    const bytes = this.#bytes.get(digest);
    if (bytes === undefined) throw new Error(`there is no ${digest}`);
    this.fetched.push(digest);
    return { bytes, digest, contentType: undefined, where: 'a registry' };
  }

  async readBlob(_: unknown, { digest }: Descriptor): Promise<Buffer> {
    return this.#bytes.get(digest) ?? Buffer.alloc(0);
  }
}

const SHARED = sha256Digest('5'.repeat(64));
const signal = AbortSignal.timeout(10_000);
const reference = parseReference('example.org/tool:1');
const linux = (architecture: string, variant?: string): Platform => ({
  os: 'linux',
  architecture,
  ...(variant === undefined ? {} : { variant }),
});

function multiArch(): { source: Documents; images: readonly Descriptor[]; root: Descriptor } {
  const source = new Documents();
  const images = [
    source.image('amd64', linux('amd64')),
    source.image('arm64', linux('arm64', 'v8')),
    source.image('arm', linux('arm', 'v7')),
    source.image('unknown', { os: 'unknown', architecture: 'unknown' }),
  ];
  return { source, images, root: source.index(images) };
}

describe('resolveLayout', () => {
  it.each([
    [undefined, [0, 1, 2, 3]],
    [[], [0, 1, 2, 3]],
    [['linux/amd64'], [0]],
    [['linux/arm64'], [1]],
    [
      ['linux/arm64/v8', 'linux/amd64'],
      [0, 1],
    ],
    [['linux/arm/v7'], [2]],
  ])('takes of an index what is for %j', async (platforms, chosen) => {
    const { source, images, root } = multiArch();
    const layout = await resolveLayout(reference, platforms, source, signal);
    const wanted = chosen.map((at) => images[at]?.digest);
    expect(layout.documents.map(({ digest }) => digest)).toEqual([...wanted, root.digest]);
    expect(layout.root.digest).toBe(root.digest);
    // A configuration for each, and the layer that they share once.
    expect(layout.blobs).toHaveLength(chosen.length + 1);
    expect(layout.blobs.filter(({ digest }) => digest === SHARED)).toHaveLength(1);
    // What is not wanted is not asked for.
    expect(source.fetched).toHaveLength(chosen.length + 1);
  });

  it.each([
    [['linux/s390x'], /linux\/s390x; it is for linux\/amd64, linux\/arm64\/v8/],
    [['linux/arm64/v9', 'linux/amd64'], /no image for linux\/arm64\/v9/],
    [['windows/amd64'], /windows\/amd64/],
  ])('names the platforms of %j that there is nothing for', async (platforms, message) => {
    const { source } = multiArch();
    await expect(resolveLayout(reference, platforms, source, signal)).rejects.toMatchObject({
      code: 'PlatformMissing',
      message: expect.stringMatching(message),
    });
  });

  it('takes an image that is no index as it is, if it is for the platform', async () => {
    const source = new Documents();
    const image = source.image('amd64');
    const layout = await resolveLayout(reference, ['linux/amd64'], source, signal);
    expect(layout.documents.map(({ digest }) => digest)).toEqual([image.digest]);
    expect(layout.blobs).toHaveLength(2);
    await expect(resolveLayout(reference, ['linux/arm64'], source, signal)).rejects.toMatchObject({
      code: 'PlatformMissing',
    });
  });

  it('follows indexes in an index, each once, and not for ever', async () => {
    const source = new Documents();
    const inner = source.index([source.image('amd64', linux('amd64'))]);
    const outer = source.index([inner, inner]);
    const { documents } = await resolveLayout(reference, ['linux/amd64'], source, signal);
    expect(documents).toHaveLength(3);
    expect(documents.at(-1)?.digest).toBe(outer.digest);
    source.index([source.index([source.index([outer])])]);
    await expect(resolveLayout(reference, undefined, source, signal)).rejects.toMatchObject({
      code: 'LimitExceeded',
      message: expect.stringContaining('MAX_LAYOUT_DEPTH'),
    });
  });
});

describe('layoutFiles', () => {
  it('names the root in index.json and keeps documents byte for byte', async () => {
    const { source, root } = multiArch();
    const layout = await resolveLayout(reference, ['linux/amd64'], source, signal);
    const files = new Map(layoutFiles(layout).map(({ path, bytes }) => [path, bytes]));
    expect(files.get('oci-layout')?.toString()).toBe('{\n\t\t"imageLayoutVersion": "1.0.0"\n}');
    const index = files.get('index.json')?.toString() ?? '';
    expect(index.startsWith('{\n   "schemaVersion": 2')).toBe(true);
    const annotations = { 'org.opencontainers.image.ref.name': 'example.org/tool:1' };
    expect(JSON.parse(index)).toMatchObject({
      manifests: [{ mediaType: root.mediaType, size: root.size, digest: root.digest, annotations }],
    });
    for (const { path, bytes } of layoutFiles(layout).filter((file) => file.path.startsWith('blobs/')))
      expect(path).toBe(`blobs/sha256/${createHash('sha256').update(bytes).digest('hex')}`);
    expect(files.size).toBe(4);
  });
});
