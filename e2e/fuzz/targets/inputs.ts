import { buffer } from 'node:stream/consumers';
import { type Entry, file, program, symlink } from '../../images/entry.ts';
import { tarball } from '../../images/tarball.ts';

/** Entries of every kind, with names that need long headers. */
export const ENTRIES: readonly Entry[] = [
  { type: 'directory', path: 'etc' },
  file('etc/hosts', '127.0.0.1 localhost\n'),
  program('bin/busybox', Buffer.alloc(700, 'x')),
  symlink('bin/sh', 'busybox'),
  { type: 'hardlink', path: 'bin/ls', target: 'bin/busybox' },
  { type: 'character', path: 'dev/null', major: 1, minor: 3 },
  { type: 'block', path: 'dev/vda', major: 254, minor: 0 },
  { type: 'fifo', path: 'run/initctl' },
  file('etc/.wh.removed', ''),
  file('var/.wh..wh..opq', ''),
  file(`${'deep/'.repeat(30)}größe`, 'long and not ASCII'),
  { type: 'file', path: 'big-id', content: 'x', uid: 3_000_000, gid: 3_000_000 },
];

export function tar(entries: readonly Entry[]): Promise<Buffer> {
  return buffer(tarball(entries));
}

/** A stream of the bytes in pieces of so many. */
export async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Inputs that are JSON documents. */
export function json(...documents: readonly unknown[]): readonly Buffer[] {
  return documents.map((document) => Buffer.from(JSON.stringify(document)));
}

export const JSON_WORDS = [
  'null',
  '{}',
  '[]',
  '""',
  '-1',
  '1e999',
  '0.5',
  ':',
  ',',
  '{"',
  '":',
  '"__proto__":',
  '\\u0000',
];
