import { describe, expect, it } from 'vitest';
import { arrange } from '../initramfs/arrange.ts';
import type { Entry } from '../initramfs/entry.ts';
import { warnOfAttributes } from './member.ts';

const file = (path: string, ...names: string[]): Entry => ({
  type: 'file',
  path,
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: 0,
  size: 0,
  content: [],
  ...(names.length === 0 ? {} : { xattrs: new Map(names.map((name) => [name, Buffer.alloc(1)])) }),
});

function warnings(...entries: Entry[]): readonly string[] {
  const messages: string[] = [];
  warnOfAttributes('services[0]', arrange(entries), (event) => {
    if (event.kind === 'warning') messages.push(event.message);
  });
  return messages;
}

describe('extended attributes', () => {
  it('are told of as lost, with the files', () => {
    expect(warnings(file('ping', 'security.capability', 'user.a'), file('plain'))).toEqual([
      'services[0]: an initrd cannot hold extended attributes; they are lost of "ping" (security.capability, user.a). ' +
        'Give the container the capabilities instead',
    ]);
  });

  it('are counted where many files have them, and nothing is said where none has', () => {
    expect(warnings(...['a', 'b', 'c', 'd', 'e'].map((path) => file(path, 'user.x')))[0]).toContain(
      '"c" (user.x) and 2 more.',
    );
    expect(warnings(file('plain'))).toEqual([]);
  });
});
