import { describe, expect, it } from 'vitest';
import { IMAGE_KIND, MACHINE_KIND } from '../../api/names.ts';
import { parseNameOf, parseTarget, parseVirtualMachine } from './target.ts';

describe('a name on the command line', () => {
  it.each([
    ['web', { name: 'web' }],
    ['image/web', { kind: IMAGE_KIND, name: 'web' }],
    ['LKI/web.v2', { kind: IMAGE_KIND, name: 'web.v2' }],
    ['linuxkitmachines.linuxkit.dev/web', { kind: MACHINE_KIND, name: 'web' }],
  ])('%s', (text, target) => {
    expect(parseTarget(text)).toEqual(target);
  });

  it.each(['', 'pod/web', 'image/', '../web', 'image/a/b', 'Web', 'a b', `a${'b'.repeat(253)}`])(
    'refuses %j',
    (text) => {
      expect(() => parseTarget(text)).toThrow(expect.objectContaining({ code: 'InvalidName' }));
    },
  );

  it('refuses the other kind where one is wanted', () => {
    expect(parseNameOf(IMAGE_KIND, 'lki/web')).toBe('web');
    expect(() => parseNameOf(IMAGE_KIND, 'lkm/web')).toThrow('a LinuxKitImage is wanted here');
  });

  it.each([
    ['web', { machine: 'web' }],
    ['web/0', { machine: 'web', ordinal: 0 }],
    ['web-2', { machine: 'web-2' }],
    ['lkm/web/12', { machine: 'web', ordinal: 12 }],
    ['machine/1', { machine: 'machine', ordinal: 1 }],
  ])('%s names a virtual machine', (text, expected) => {
    expect(parseVirtualMachine(text)).toEqual(expected);
  });
});
