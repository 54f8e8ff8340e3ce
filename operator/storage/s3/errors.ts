import { S3ServiceException } from '@aws-sdk/client-s3';
import { messageOf } from '../../errors.ts';
import { StorageError, type StorageErrorCode } from '../store.ts';

/** S3's error codes ("Error responses", list of error codes), and those of versitygw that differ. */
const CODES: Readonly<Record<string, StorageErrorCode>> = {
  NoSuchKey: 'ObjectNotFound',
  NotFound: 'ObjectNotFound',
  PreconditionFailed: 'ObjectConflict',
  ObjectParentIsFile: 'ObjectConflict',
  ExistingObjectIsDirectory: 'ObjectConflict',
  BadDigest: 'ChecksumMismatch',
  InvalidDigest: 'ChecksumMismatch',
  IncompleteBody: 'ChecksumMismatch',
  XAmzContentSHA256Mismatch: 'ChecksumMismatch',
  XAmzContentChecksumMismatch: 'ChecksumMismatch',
  AccessDenied: 'StorageDenied',
  InvalidAccessKeyId: 'StorageDenied',
  SignatureDoesNotMatch: 'StorageDenied',
  ExpiredToken: 'StorageDenied',
  InvalidToken: 'StorageDenied',
  /** versitygw answers an unknown access key with status 404. */
  XAdminUserNotFound: 'StorageDenied',
  CredentialsProviderError: 'StorageDenied',
  NoSuchBucket: 'StorageUnavailable',
  InvalidBucketName: 'StorageDenied',
  SlowDown: 'StorageUnavailable',
  ConditionalRequestConflict: 'StorageUnavailable',
  OperationAborted: 'StorageUnavailable',
};

/** Turns what the SDK throws into a StorageError. `what` says what was being done: `reading object KEY`. */
export function storageErrorOf(thrown: unknown, what: string): StorageError {
  if (thrown instanceof StorageError) return thrown;
  const name = thrown instanceof Error ? thrown.name : '';
  const status = thrown instanceof S3ServiceException ? thrown.$metadata.httpStatusCode : undefined;
  const code = CODES[name] ?? codeOfStatus(status);
  const detail = status === undefined ? messageOf(thrown) : `${name}, status ${status}: ${messageOf(thrown)}`;
  return new StorageError(code, `object storage, ${what}: ${detail}`, { cause: thrown });
}

/** What can be said of an answer without a body, as every answer to HEAD is. */
function codeOfStatus(status: number | undefined): StorageErrorCode {
  switch (status) {
    case 401:
    case 403:
      return 'StorageDenied';
    case 404:
      return 'ObjectNotFound';
    case 412:
      return 'ObjectConflict';
    default:
      return 'StorageUnavailable';
  }
}
