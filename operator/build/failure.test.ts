import { describe, expect, it } from 'vitest';
import { InitramfsError } from '../initramfs/error.ts';
import { LinuxKitConfigError } from '../linuxkit/errors.ts';
import { OciError } from '../oci/errors.ts';
import { StorageError } from '../storage/store.ts';
import { AddedFileError } from './added-files.ts';
import { BuildError, buildErrorOf, pushErrorOf } from './failure.ts';
import { KernelImageError } from './kernel-image.ts';
import { TreeConflictError } from './overlay.ts';

const abort = new AbortController();
abort.abort();

describe('buildErrorOf', () => {
  it.each([
    [new OciError('ImageNotFound', 'm'), 'ImageNotFound'],
    [new OciError('PlatformMissing', 'm'), 'ImageNotFound'],
    [new OciError('SizeMismatch', 'm'), 'DigestMismatch'],
    [new OciError('LimitExceeded', 'm'), 'LimitExceeded'],
    [new LinuxKitConfigError([{ path: 'a', message: 'm' }]), 'InvalidLinuxKitConfig'],
    [new InitramfsError('MissingParent', 'm'), 'AssemblyFailed'],
    [new TreeConflictError('TreeConflict', 'm'), 'AssemblyFailed'],
    [new KernelImageError('InvalidKernelImage', 'm'), 'AssemblyFailed'],
    [new AddedFileError('SourceMissing', 'm'), 'InvalidLinuxKitConfig'],
    [new StorageError('StorageDenied', 'm'), 'StorageDenied'],
    [new StorageError('ObjectConflict', 'm'), 'StorageUnavailable'],
    [abort.signal.reason, 'Cancelled'],
    [Object.assign(new Error('write'), { code: 'ENOSPC' }), 'LimitExceeded'],
    [new TypeError('bug'), 'InternalError'],
    ['text', 'InternalError'],
  ] as const)('gives %s the reason %s', (thrown, reason) => {
    expect(buildErrorOf('assemble', thrown)).toMatchObject({ step: 'assemble', code: reason });
  });

  it('leaves a failure as it is', () => {
    const error = new BuildError('resolve', 'ImageNotFound', 'm');
    expect(buildErrorOf('upload', error)).toBe(error);
  });

  it('keeps the message and says what to do about a full disk', () => {
    expect(buildErrorOf('assemble', new OciError('ImageNotFound', 'image x is gone')).message).toBe(
      'image x is gone',
    );
    const full = buildErrorOf(
      'assemble',
      Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }),
    );
    expect(full.message).toMatch(/work folder is full.*more space/);
  });
});

describe('pushErrorOf', () => {
  it.each([
    [new OciError('RegistryUnauthorized', 'm'), 'RegistryUnauthorized'],
    [new OciError('RegistryUnreachable', 'm'), 'BootImagePushFailed'],
    [new OciError('RegistryRefused', 'm'), 'BootImagePushFailed'],
    [new OciError('DigestMismatch', 'm'), 'BootImagePushFailed'],
    [new StorageError('StorageUnavailable', 'm'), 'StorageUnavailable'],
    [abort.signal.reason, 'Cancelled'],
  ] as const)('gives %s the reason %s', (thrown, reason) => {
    expect(pushErrorOf(thrown)).toMatchObject({ step: 'upload', code: reason });
  });
});
