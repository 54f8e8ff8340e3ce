import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import tarStream from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { flatten } from './flatten.ts';
import { LayerStore } from './layer-store.ts';
import { parseReference } from './reference.ts';
import { digestOf } from './registry/test-registry.ts';
import type { ImageSource } from './source.ts';
import type { Descriptor, Digest, ResolvedImage } from './types.ts';

const never = new AbortController().signal;

async function archive(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const pack = tarStream.pack();
  for (const [name, content] of Object.entries(files)) pack.entry({ name }, content);
  pack.finalize();
  const parts: Buffer[] = [];
  for await (const part of pack as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

/** Serves blobs from memory, and lets a test hold back, watch and fail them. */
class MemorySource implements ImageSource {
  readonly opened: Digest[] = [];
  readonly #blobs = new Map<Digest, Buffer>();
  active = 0;
  mostActive = 0;
  gate: Promise<void> = Promise.resolve();
  failing: Digest | undefined;

  async image(...archives: readonly Buffer[]): Promise<ResolvedImage> {
    const layers = archives.map((content): Descriptor => {
      const blob = gzipSync(content);
      this.#blobs.set(digestOf(blob), blob);
      return {
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        digest: digestOf(blob),
        size: blob.length,
      };
    });
    const config = { architecture: 'amd64', os: 'linux', config: {}, diffIds: archives.map(digestOf) };
    return { reference: parseReference('test'), digest: digestOf(Buffer.from('m')), config, layers };
  }

  async *openBlob(_: unknown, { digest }: Descriptor, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    this.opened.push(digest);
    this.active++;
    this.mostActive = Math.max(this.mostActive, this.active);
    try {
      await this.gate;
      signal.throwIfAborted();
      if (digest === this.failing) throw new Error('broken');
      yield this.#blobs.get(digest) ?? Buffer.alloc(0);
    } finally {
      this.active--;
    }
  }

  resolve(): Promise<ResolvedImage> {
    throw new Error('not asked here');
  }

  resolveDigest(): Promise<Digest> {
    throw new Error('not asked here');
  }
}

let directory: string;
let source: MemorySource;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'layers-'));
  source = new MemorySource();
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('LayerStore', () => {
  it('gives the layers of an image, with bodies to read', async () => {
    const image = await source.image(await archive({ a: 'one', b: 'two' }), await archive({ b: 'three' }));
    await using store = new LayerStore({ source, directory });
    await using held = await store.hold(image, never);
    const tree = flatten(held.layers);
    const bodies: string[] = [];
    for (const node of tree.nodes()) {
      if (node.type !== 'file') continue;
      let text = '';
      for await (const part of node.body.spool.read(node.body.offset, node.size))
        text += Buffer.from(part).toString();
      bodies.push(`${node.path}: ${text}`);
    }
    expect(bodies).toEqual(['a: one', 'b: three']);
    expect(store.bytesPulled).toBe(image.layers.reduce((sum, { size }) => sum + size, 0));
    expect(await readdir(directory)).toEqual([]);
  });

  it('pulls a layer once for all who want it, and again when nobody held it', async () => {
    const shared = await archive({ a: 'shared' });
    const one = await source.image(shared, await archive({ b: '1' }));
    const two = await source.image(shared, await archive({ b: '2' }));
    await using store = new LayerStore({ source, directory });
    const held = await Promise.all([store.hold(one, never), store.hold(two, never), store.hold(one, never)]);
    expect(source.opened.length).toBe(3);
    expect(held[0].layers[0]).toBe(held[1].layers[0]);
    for (const each of held) await each[Symbol.asyncDispose]();
    await using again = await store.hold(one, never);
    expect(source.opened.length).toBe(5);
    expect(again.layers.length).toBe(2);
  });

  it('pulls no more at once than it may', async () => {
    const archives = await Promise.all(Array.from({ length: 9 }, (_, at) => archive({ a: String(at) })));
    const { promise, resolve } = Promise.withResolvers<void>();
    source.gate = promise;
    await using store = new LayerStore({ source, directory, concurrency: 3 });
    const holding = store.hold(await source.image(...archives), never);
    await expect.poll(() => source.active).toBe(3);
    resolve();
    await using held = await holding;
    expect(source.mostActive).toBe(3);
    expect(held.layers.length).toBe(9);
  });

  it('fails with the layer that failed, and gives up the others', async () => {
    const image = await source.image(
      await archive({ a: '1' }),
      await archive({ a: '2' }),
      await archive({ a: '3' }),
    );
    source.failing = image.layers[1]?.digest;
    await using store = new LayerStore({ source, directory, concurrency: 1 });
    await expect(store.hold(image, never)).rejects.toThrow('broken');
    expect(source.active).toBe(0);
    source.failing = undefined;
    await using held = await store.hold(image, never);
    expect(held.layers.length).toBe(3);
  });

  it('goes on for those who stay when one leaves', async () => {
    const image = await source.image(await archive({ a: '1' }));
    const { promise, resolve } = Promise.withResolvers<void>();
    source.gate = promise;
    await using store = new LayerStore({ source, directory });
    const abort = new AbortController();
    const leaving = store.hold(image, abort.signal);
    const staying = store.hold(image, never);
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    resolve();
    await using held = await staying;
    expect(held.layers.length).toBe(1);
    expect(source.opened.length).toBe(1);
  });

  it('refuses an image whose configuration does not fit its layers', async () => {
    const image = await source.image(await archive({ a: '1' }));
    await using store = new LayerStore({ source, directory });
    const wrong = { ...image, config: { ...image.config, diffIds: [] } };
    await expect(store.hold(wrong, never)).rejects.toMatchObject({ code: 'InvalidManifest' });
  });
});
