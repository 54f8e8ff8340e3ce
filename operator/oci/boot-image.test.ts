import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bootImage, bootLayer, bootLayerFrame, bootLayerSize, MAX_BOOT_FILE_BYTES } from './boot-image.ts';
import { parseImageConfig, parseManifest } from './manifest.ts';
import { readTar } from './tar/read.ts';

function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function* chunks(...parts: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

describe('a layer of a boot image', () => {
  it.each([0, 1, 511, 512, 513, 5000])('is an archive of one file of %i bytes', async (size) => {
    const content = Buffer.alloc(size, 'k');
    const frame = bootLayerFrame('kernel', size);
    const bytes = Buffer.concat([frame.header, content, Buffer.alloc(frame.zeros)]);
    expect(bytes.length).toBe(bootLayerSize(frame));
    expect(bytes.length % 512).toBe(0);
    expect(await bootLayer('kernel', size, chunks(content.subarray(0, 3), content.subarray(3)))).toEqual({
      file: 'kernel',
      digest: sha256(bytes),
      size: bytes.length,
    });
    const entries = [];
    for await (const { body, ...entry } of readTar(chunks(bytes), 'layer')) {
      const parts: Uint8Array[] = [];
      for await (const part of body) parts.push(part);
      entries.push(entry);
      expect(Buffer.concat(parts)).toEqual(content);
    }
    expect(entries).toEqual([
      expect.objectContaining({
        path: 'boot/kernel',
        type: 'file',
        mode: 0o444,
        uid: 107,
        gid: 107,
        mtime: 0,
        size,
      }),
    ]);
  });

  it('has its exact bytes: what is on nodes and in records must stay valid', () => {
    expect(sha256(bootLayerFrame('initrd.img', 123_456_789).header)).toBe(
      'sha256:f8af637f2b7023f2b04f7615ac01986d8ce18c87982d74d64335e5861c81084f',
    );
  });

  it('refuses files that no machine could boot, and content of another size', async () => {
    expect(bootLayerFrame('kernel', MAX_BOOT_FILE_BYTES).header.length).toBe(512);
    expect(() => bootLayerFrame('kernel', MAX_BOOT_FILE_BYTES + 1)).toThrow(/MAX_BOOT_FILE_BYTES/);
    await expect(bootLayer('kernel', 3, chunks(Buffer.from('ab')))).rejects.toThrow(RangeError);
  });
});

describe('bootImage', () => {
  it('writes documents that name each other', async () => {
    const layers = [
      await bootLayer('kernel', 3, chunks(Buffer.from('abc'))),
      await bootLayer('initrd.img', 2, chunks(Buffer.from('de'))),
    ];
    const image = bootImage({ architecture: 'amd64', layers, annotations: { b: '2', a: '1' } });
    expect(image.digest).toBe(sha256(image.manifest));
    const manifest = parseManifest(Buffer.from(image.manifest), undefined, 'manifest');
    expect(manifest).toMatchObject({
      kind: 'image',
      config: { digest: sha256(image.config), size: image.config.length },
      layers: layers.map(({ digest, size }) => ({ digest, size })),
    });
    expect(parseImageConfig(Buffer.from(image.config), 'config')).toEqual({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      diffIds: layers.map(({ digest }) => digest),
    });
    expect(bootImage({ architecture: 'amd64', layers, annotations: { a: '1', b: '2' } })).toEqual(image);
    expect(bootImage({ architecture: 'amd64', layers }).digest).toBe(
      'sha256:6152c08b352202e2550a664ee2d4bd87b4da49c5a92abece15bfabfea74f5c2e',
    );
  });
});
