import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Digest, sha256Digest } from '../../oci/types.ts';
import { ARTIFACT_FILES, artifactKey, memberKey, resultKey } from '../layout.ts';
import { checkComplete, checkSize, decide, permittedPlace } from './authorize.ts';

const pod = { namespace: 'tenant', image: 'web' };
const digest = sha256Digest('a'.repeat(64));
const hex = '0'.repeat(64);
const sum = (digit: string) => digit.repeat(64);

describe('permittedPlace', () => {
  it.each([
    ...ARTIFACT_FILES.map((file) => artifactKey('web', digest, file)),
    memberKey(hex),
    resultKey(hex),
  ])('lets a pod name %s', (key) => {
    expect(permittedPlace(pod, key)).toBeDefined();
  });

  it.each([
    [artifactKey('web-2', digest, 'kernel'), 'belongs to another image than tenant/web'],
    [artifactKey('we', digest, 'kernel'), 'belongs to another image'],
    [
      `tenant/${artifactKey('web', digest, 'kernel')}`,
      'neither a file of an artifact nor an entry of the cache',
    ],
    [`other/${memberKey(hex)}`, 'neither a file'],
    [`../other/${memberKey(hex)}`, 'is no object key'],
    [`/${artifactKey('web', digest, 'kernel')}`, 'is no object key'],
    [`web/../../other/web/x`, 'is no object key'],
    [`web/sha256-${sum('a')}/kernel\0`, 'is no object key'],
    [`web/sha256-${sum('a')}/kernel.sig`, 'neither a file'],
    ['_cache/members/%2e%2e', 'is no object key'],
    ['', 'is no object key'],
  ])('refuses %j with the reason', (key, reason) => {
    expect(() => permittedPlace(pod, key)).toThrow(reason);
  });

  it('lets nothing pass that leaves the namespace, whatever is put together', () => {
    const part = fc.constantFrom(
      '..',
      '.',
      '',
      'tenant',
      'other',
      'web',
      '_cache',
      'members',
      `sha256-${sum('a')}`,
      'kernel',
      hex,
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const key = parts.join('/');
        let allowed = true;
        try {
          permittedPlace(pod, key);
        } catch {
          allowed = false;
        }
        const own = key === artifactKey('web', digest, 'kernel') || key === memberKey(hex);
        expect(allowed).toBe(own);
      }),
      { numRuns: 2000, examples: [[['web', `sha256-${sum('a')}`, 'kernel']], [['_cache', 'members', hex]]] },
    );
  });
});

describe('checkSize', () => {
  it('limits each kind of object', () => {
    const object = { key: artifactKey('web', digest, 'build.json'), size: 1024 * 1024, sha256: hex };
    const place = permittedPlace(pod, object.key);
    expect(() => checkSize(place, object)).not.toThrow();
    expect(() => checkSize(place, { ...object, size: object.size + 1 })).toThrow(
      '1048577 bytes, more than the 1048576 allowed',
    );
  });
});

describe('decide', () => {
  const at = (key: string, stored: { size: number; sha256?: string } | undefined, sealed = false) =>
    decide({
      object: { key, size: 5, sha256: sum('1') },
      stored: stored === undefined ? undefined : { key, ...stored },
      sealed,
    });
  const kernel = artifactKey('web', digest, 'kernel');
  const same = { size: 5, sha256: sum('1') };
  const other = { size: 5, sha256: sum('2') };

  it.each([kernel, memberKey(hex), resultKey(hex)])(
    'takes %s up when it is absent, and not when it is there',
    (key) => {
      expect(at(key, undefined)).toBe('upload');
      expect(at(key, same)).toBe('present');
    },
  );

  it('replaces what an interrupted build left', () => {
    expect(at(kernel, other)).toBe('replace');
    expect(at(kernel, { size: 5 })).toBe('replace');
    expect(at(kernel, { size: 4, sha256: sum('1') })).toBe('replace');
  });

  it('never touches a complete artifact', () => {
    expect(at(kernel, same, true)).toBe('present');
    expect(() => at(kernel, other, true)).toThrow('artifacts never change');
    expect(() => at(artifactKey('web', digest, 'sbom.spdx.json'), undefined, true)).toThrow(
      'artifacts never change',
    );
    expect(() => at(artifactKey('web', digest, 'build.json'), other, true)).toThrow('artifacts never change');
  });

  it('lets a later build mend the cache', () => {
    expect(at(memberKey(hex), other)).toBe('replace');
    expect(at(resultKey(hex), other)).toBe('replace');
  });
});

describe('checkComplete', () => {
  const announced = (present: readonly string[], of: Digest = digest) =>
    ARTIFACT_FILES.filter((file) => file === 'build.json' || present.includes(file)).map((file) => ({
      key: artifactKey('web', of, file),
      place: permittedPlace(pod, artifactKey('web', of, file)),
      present: file !== 'build.json',
    }));

  it('takes a record when everything it speaks of is stored', () => {
    expect(() => checkComplete(announced(['kernel', 'initrd.img', 'cmdline']))).not.toThrow();
  });

  it.each([
    [['kernel', 'initrd.img'], 'cmdline of it is not stored'],
    [['cmdline'], 'kernel, initrd.img of it are not stored'],
    [[], 'kernel, initrd.img, cmdline of it'],
  ])('refuses a record when only %j is stored', (present, reason) => {
    expect(() => checkComplete(announced(present))).toThrow(reason);
  });

  it('does not count files that are yet to be uploaded, nor those of another artifact', () => {
    const pending = announced(['kernel', 'initrd.img', 'cmdline']).map((object) => ({
      ...object,
      present: false,
    }));
    expect(() => checkComplete(pending)).toThrow('comes last');
    const foreign = announced(['kernel', 'initrd.img', 'cmdline'], sha256Digest(sum('b'))).slice(0, 3);
    expect(() => checkComplete([...foreign, ...announced([])])).toThrow('comes last');
  });
});
