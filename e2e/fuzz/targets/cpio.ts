import { gunzipSync } from 'node:zlib';
import { divide } from '../../../operator/initramfs/archive.ts';
import { arrange } from '../../../operator/initramfs/arrange.ts';
import type { MemberCompression } from '../../../operator/initramfs/compressor.ts';
import type { Entry } from '../../../operator/initramfs/entry.ts';
import { InitramfsError } from '../../../operator/initramfs/error.ts';
import { deviceOf, writeMember } from '../../../operator/initramfs/member.ts';
import { readInitramfs } from '../../../operator/initramfs/reader.ts';
import { unpack } from '../../../operator/initramfs/unpack.ts';
import { type FuzzTarget, promised } from '../target.ts';

const META = { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
const TREE: readonly Entry[] = [
  { type: 'directory', path: 'dev', ...META },
  { type: 'character', path: 'dev/null', ...META, major: 1, minor: 3 },
  { type: 'symlink', path: 'init', ...META, target: 'sbin/init' },
  { type: 'directory', path: 'sbin', ...META },
  { type: 'file', path: 'sbin/init', ...META, size: 300, content: [Buffer.alloc(300, 'a')] },
  { type: 'link', path: 'sbin/halt', target: 'sbin/init' },
];
/** Bytes that a compressed part may become. */
const LIMIT = 1 << 20;

/** Reading an initramfs, raw or compressed, and unpacking it as the kernel does. */
export const cpioTarget: FuzzTarget = {
  name: 'cpio',
  async corpus() {
    const [gzip, zstd] = await Promise.all([member('gzip'), member('zstd')]);
    const both = Buffer.concat([gzip, zstd, Buffer.alloc(8), gzip]);
    return [gzip, zstd, gunzipSync(gzip), both];
  },
  words: ['070701', '070702', 'TRAILER!!!', '\0\0\0\0', 'ffffffff', '00000000', '../', '/'],
  expected: (error) => error instanceof InitramfsError && error.code === 'MalformedArchive',
  parse(input) {
    const entries = [...readInitramfs(input, LIMIT)];
    const { nodes, lost } = unpack(entries);
    promised(nodes.size + lost.length <= entries.length, 'more was unpacked than there is');
    return `${nodes.size} ${lost.map(({ reason }) => reason).join()}`;
  },
};

async function member(compression: MemberCompression): Promise<Buffer> {
  const entries = arrange(TREE);
  const [run] = divide(entries, Number.POSITIVE_INFINITY);
  if (run === undefined) throw new Error('no entries');
  const parts: Buffer[] = [];
  const options = {
    device: deviceOf(compression),
    trailer: true,
    compression,
    signal: AbortSignal.timeout(10_000),
  };
  await writeMember(run, options, async (bytes) => void parts.push(Buffer.from(bytes)));
  return Buffer.concat(parts);
}
