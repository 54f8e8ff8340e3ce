import { CreateBucketCommand, HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { StorageError } from '../store.ts';
import { storageErrorOf } from './errors.ts';
import type { S3Options } from './options.ts';

const DEADLINE_MS = 30_000;

/**
 * Makes the bucket if it is not there. Throws `StorageDenied` when the credentials are refused, also
 * where a plain HEAD could not tell that from an absent bucket.
 */
export async function ensureBucket(
  client: S3Client,
  options: Pick<S3Options, 'bucket' | 'region'>,
  { signal }: { readonly signal: AbortSignal },
): Promise<'created' | 'exists'> {
  const Bucket = options.bucket;
  const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  try {
    await client.send(new HeadBucketCommand({ Bucket }), { abortSignal });
    return 'exists';
  } catch (error) {
    signal.throwIfAborted();
    const mapped = storageErrorOf(error, `looking for bucket ${Bucket}`);
    if (mapped.code !== 'ObjectNotFound') throw mapped;
  }
  try {
    // us-east-1 is the one region that may not be named ("CreateBucket", LocationConstraint).
    const elsewhere = options.region !== 'us-east-1';
    const location = elsewhere
      ? { CreateBucketConfiguration: { LocationConstraint: options.region as 'eu-west-1' } }
      : {};
    await client.send(new CreateBucketCommand({ Bucket, ...location }), { abortSignal });
    return 'created';
  } catch (error) {
    signal.throwIfAborted();
    // Two replicas start at once.
    if (error instanceof Error && error.name === 'BucketAlreadyOwnedByYou') return 'exists';
    throw storageErrorOf(error, `creating bucket ${Bucket}`);
  }
}

/** Throws a StorageError unless the bucket can be listed: reachable, existing, and ours to read. */
export async function probeBucket(
  client: S3Client,
  bucket: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal: signal });
  } catch (error) {
    const mapped = storageErrorOf(error, `looking for bucket ${bucket}`);
    if (mapped.code !== 'ObjectNotFound') throw mapped;
    throw new StorageError('StorageUnavailable', `object storage has no bucket ${bucket}`, { cause: error });
  }
}
