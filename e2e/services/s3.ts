import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { GenericContainer, Wait } from 'testcontainers';
import { type Reporter, silentReporter } from '../progress/reporter.ts';
import { ensureServiceImage } from './service-image.ts';

/** An S3-compatible server with one empty bucket. */
export interface S3Service {
  /** `http://127.0.0.1:PORT`; from elsewhere on the network, the same port of this machine. */
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Ends the server; its data is gone with it. */
  stop(): Promise<void>;
}

/**
 * Starts versitygw in a container, its objects in memory. It uses path-style addresses.
 * @throws Failure `EngineUnavailable` without a Docker engine.
 */
export async function startS3(
  reporter: Reporter = silentReporter,
  signal: AbortSignal = AbortSignal.timeout(900_000),
): Promise<S3Service> {
  const image = await ensureServiceImage(
    { tool: 'versitygw', overrideVariable: 'LINUXKIT_TEST_S3_IMAGE', files: {}, command: [] },
    reporter,
    signal,
  );
  const [accessKey, secretKey] = [randomBytes(10).toString('hex'), randomBytes(20).toString('hex')];
  const region = 'us-east-1';
  const container = await new GenericContainer(image)
    .withCommand([
      '--port',
      ':7070',
      '--region',
      region,
      '--health',
      '/health',
      'posix',
      '--sidecar',
      '/metadata',
      '/objects',
    ])
    .withEnvironment({ ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey })
    .withTmpFs({ '/objects': 'rw', '/metadata': 'rw', '/tmp': 'rw' })
    .withExposedPorts(7070)
    .withWaitStrategy(Wait.forHttp('/health', 7070))
    .withStartupTimeout(60_000)
    .start();
  const port = container.getMappedPort(7070);
  const endpoint = `http://${container.getHost()}:${port}`;
  const bucket = 'linuxkit';
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }), { abortSignal: signal });
  } catch (error) {
    await container.stop();
    throw error;
  } finally {
    client.destroy();
  }
  return {
    endpoint,
    port,
    region,
    bucket,
    accessKey,
    secretKey,
    stop: async () => {
      await container.stop();
    },
  };
}
