import type { S3Client } from '@aws-sdk/client-s3';
import { startS3 } from '../../../e2e/services/s3.ts';
import { createS3Client } from './client.ts';
import type { S3Options } from './options.ts';
import { S3Store } from './s3-store.ts';

/** A bucket of a real S3 server, for integration tests. */
export interface BucketUnderTest extends AsyncDisposable {
  readonly options: S3Options & { readonly endpoint: string };
  readonly client: S3Client;
  readonly store: S3Store;
}

export async function startBucket(): Promise<BucketUnderTest> {
  const s3 = await startS3();
  const options = {
    endpoint: s3.endpoint,
    region: s3.region,
    bucket: s3.bucket,
    forcePathStyle: true,
    credentials: { accessKeyId: s3.accessKey, secretAccessKey: s3.secretKey },
  };
  const client = createS3Client(options);
  return {
    options,
    client,
    store: new S3Store(client, options.bucket),
    async [Symbol.asyncDispose]() {
      client.destroy();
      await s3.stop();
    },
  };
}
