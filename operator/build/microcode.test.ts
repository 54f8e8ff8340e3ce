import { describe, expect, it } from 'vitest';
import { divide, writeArchive } from '../initramfs/archive.ts';
import { arrange } from '../initramfs/arrange.ts';
import { readInitramfs } from '../initramfs/reader.ts';
import { microcodeArchive } from './microcode.ts';

async function cpio(trailer = true): Promise<Buffer> {
  const meta = { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
  const entries = arrange([
    { type: 'directory', path: 'kernel', ...meta },
    { type: 'file', path: 'kernel/GenuineIntel.bin', ...meta, size: 5, content: [Buffer.from('ucode')] },
  ]);
  const chunks: Buffer[] = [];
  for (const run of divide(entries, 1e9)) {
    const options = { device: { major: 0, minor: 0 }, trailer, signal: new AbortController().signal };
    await writeArchive(run, options, async (bytes) => void chunks.push(Buffer.from(bytes)));
  }
  return Buffer.concat(chunks);
}

describe('microcodeArchive', () => {
  it.each([0, 1, 2, 3, 509])(
    'makes an archive with %d bytes of padding a multiple of 4 long',
    async (padding) => {
      const archive = microcodeArchive(Buffer.concat([await cpio(), Buffer.alloc(padding)]));
      expect(archive.length % 4).toBe(0);
      expect([...readInitramfs(archive)].map(({ path }) => path)).toContain('kernel/GenuineIntel.bin');
    },
  );

  it('does not mind a missing end mark', async () => {
    expect(microcodeArchive(await cpio(false)).length % 4).toBe(0);
  });

  it.each([
    ['nothing', async () => Buffer.alloc(0)],
    ['zeros', async () => Buffer.alloc(512)],
    ['a gzip stream', async () => Buffer.from([0x1f, 0x8b, 8, 0])],
    ['an archive with something behind it', async () => Buffer.concat([await cpio(), Buffer.from('junk')])],
    ['half an archive', async () => (await cpio()).subarray(0, 230)],
  ])('refuses %s', async (_, bytes) => {
    const given = await bytes();
    expect(() => microcodeArchive(given)).toThrow(expect.objectContaining({ code: 'MalformedArchive' }));
  });
});
