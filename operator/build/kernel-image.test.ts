import { describe, expect, it } from 'vitest';
import { chooseCompression, kernelVersions } from './kernel-image.ts';

describe('auto compression', () => {
  it.each([
    [
      '6.1',
      ['lib', 'lib/modules', 'lib/modules/6.1.0-56-cloud-amd64', 'lib/modules/6.1.0-56-cloud-amd64/kernel'],
      'zstd',
    ],
    ['5.9', ['lib/modules/5.9.0'], 'zstd'],
    ['5.10, which is no decimal fraction', ['lib/modules/5.10.104-linuxkit'], 'zstd'],
    ['5.8', ['lib/modules/5.8.18'], 'gzip'],
    ['4.9', ['lib/modules/4.9.31-moby'], 'gzip'],
    ['modules below usr', ['usr/lib/modules/6.6.13-linuxkit'], 'zstd'],
    ['two kernels, one of them old', ['lib/modules/6.6.1', 'lib/modules/4.19.0'], 'gzip'],
    ['no modules', ['lib', 'lib/firmware'], 'gzip'],
    ['a folder that is no version', ['lib/modules/extra'], 'gzip'],
  ])('for %s', (_, paths, compression) => {
    expect(chooseCompression(kernelVersions(paths))).toBe(compression);
  });
});
