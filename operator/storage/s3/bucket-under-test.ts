import type { S3Client } from '@aws-sdk/client-s3';
import { createS3Client } from './client.ts';
import type { S3Options } from './options.ts';
import { S3Store } from './s3-store.ts';

/** A bucket of a real S3 server, for integration tests. */
export interface BucketUnderTest extends AsyncDisposable {
  readonly options: S3Options & { readonly endpoint: string };
  readonly client: S3Client;
  readonly store: S3Store;
}

/** The bucket of a server that a test has started; disposing of it stops the server. */
export function bucketOf(server: {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  stop(): Promise<void>;
}): BucketUnderTest {
  const options = {
    endpoint: server.endpoint,
    region: server.region,
    bucket: server.bucket,
    forcePathStyle: true,
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
  };
  const client = createS3Client(options);
  return {
    options,
    client,
    store: new S3Store(client, options.bucket),
    async [Symbol.asyncDispose]() {
      client.destroy();
      await server.stop();
    },
  };
}
