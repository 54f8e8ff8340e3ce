import { CodedError, messageOf } from '../errors.ts';
import { InitramfsError } from '../initramfs/error.ts';
import { LinuxKitConfigError } from '../linuxkit/errors.ts';
import { OciError, type OciErrorCode } from '../oci/errors.ts';
import { StorageError } from '../storage/store.ts';
import { AddedFileError } from './added-files.ts';
import { DamagedPartError } from './initrd.ts';
import { KernelImageError } from './kernel-image.ts';
import { TreeConflictError } from './overlay.ts';
import type { BuildFailure, BuildFailureReason, BuildStep } from './record.ts';

/** A build that failed: where, why, and what to do about it. `code` is the reason. */
export class BuildError extends CodedError<BuildFailureReason> {
  readonly step: BuildStep;

  constructor(
    step: BuildStep,
    reason: BuildFailureReason,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(reason, message, options);
    this.step = step;
  }

  get failure(): BuildFailure {
    return { step: this.step, reason: this.code, message: this.message };
  }
}

const OCI_REASONS: Readonly<Record<OciErrorCode, BuildFailureReason>> = {
  InvalidReference: 'InvalidLinuxKitConfig',
  InvalidCredentials: 'RegistryUnauthorized',
  InvalidProxy: 'RegistryUnreachable',
  ImageNotFound: 'ImageNotFound',
  PlatformMissing: 'ImageNotFound',
  RegistryUnreachable: 'RegistryUnreachable',
  RegistryUnauthorized: 'RegistryUnauthorized',
  RegistryRefused: 'ImagePullFailed',
  TooManyRedirects: 'ImagePullFailed',
  InvalidManifest: 'ImagePullFailed',
  UnsupportedMediaType: 'ImagePullFailed',
  DigestMismatch: 'DigestMismatch',
  SizeMismatch: 'DigestMismatch',
  InvalidTar: 'ImagePullFailed',
  InvalidLayer: 'ImagePullFailed',
  UnsafePath: 'ImagePullFailed',
  VerificationFailed: 'InputVerificationFailed',
  InvalidPolicy: 'InvalidLinuxKitConfig',
  LimitExceeded: 'LimitExceeded',
};

/** Errors of the file system that say the work folder is full. */
const NO_SPACE: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What was thrown in a step, as the failure to report. */
export function buildErrorOf(step: BuildStep, thrown: unknown): BuildError {
  if (thrown instanceof BuildError) return thrown;
  return new BuildError(step, reasonOf(thrown), explain(thrown), { cause: thrown });
}

/** What was thrown while a boot image was pushed. */
export function pushErrorOf(thrown: unknown): BuildError {
  if (!(thrown instanceof OciError)) return buildErrorOf('upload', thrown);
  const reason = thrown.code === 'RegistryUnauthorized' ? thrown.code : 'BootImagePushFailed';
  return new BuildError('upload', reason, thrown.message, { cause: thrown });
}

function reasonOf(thrown: unknown): BuildFailureReason {
  if (thrown instanceof LinuxKitConfigError) return thrown.code;
  if (thrown instanceof OciError) return OCI_REASONS[thrown.code];
  if (thrown instanceof InitramfsError || thrown instanceof TreeConflictError) return 'AssemblyFailed';
  if (thrown instanceof KernelImageError || thrown instanceof DamagedPartError) return 'AssemblyFailed';
  if (thrown instanceof AddedFileError) return 'InvalidLinuxKitConfig';
  if (thrown instanceof StorageError) {
    return thrown.code === 'StorageDenied' ? 'StorageDenied' : 'StorageUnavailable';
  }
  if (isAbort(thrown)) return 'Cancelled';
  return NO_SPACE.has(systemCode(thrown)) ? 'LimitExceeded' : 'InternalError';
}

function explain(thrown: unknown): string {
  if (isAbort(thrown)) return 'the build was cancelled';
  if (NO_SPACE.has(systemCode(thrown)))
    return `the work folder is full: ${messageOf(thrown)}; give the build more space`;
  return messageOf(thrown);
}

function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === 'AbortError' || systemCode(thrown) === 'ABORT_ERR');
}

function systemCode(thrown: unknown): unknown {
  return thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
}
