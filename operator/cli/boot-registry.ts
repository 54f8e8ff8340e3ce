import { type Command, InvalidArgumentError } from 'commander';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { ImageIndex } from '../bootregistry/image-index.ts';
import { bootRegistryMetrics, storageMetric } from '../bootregistry/metrics.ts';
import { BootRegistry } from '../bootregistry/server.ts';
import { StorageProbe } from '../bootregistry/storage-probe.ts';
import { HealthServer } from '../runtime/health-server.ts';
import { probeBucket } from '../storage/s3/bucket.ts';
import { createS3Client } from '../storage/s3/client.ts';
import { s3OptionsFromEnvironment } from '../storage/s3/options.ts';
import { S3Store } from '../storage/s3/s3-store.ts';
import { LogLevelFile } from '../telemetry/log-level-file.ts';
import { createLogger, LOG_LEVELS, type LogLevel } from '../telemetry/logger.ts';
import { stopSignal } from './exit.ts';

interface Flags {
  readonly listen: string;
  readonly port: number;
  readonly healthListen: string;
  readonly healthPort: number;
  readonly logLevel: LogLevel;
  readonly logLevelFile?: string;
}

/** Adds `boot-registry`: serves boot images to the node's container runtime until it is told to stop. */
export function registerBootRegistry(program: Command): void {
  program
    .command('boot-registry')
    .summary('serve boot images to the container runtime of this node')
    .description(
      'Serves every artifact in object storage as an OCI image, read-only, by digest, over plain HTTP.\n' +
        'Meant for a loopback address: nothing here asks who is asking. The bucket is given by\n' +
        'LINUXKIT_S3_BUCKET, LINUXKIT_S3_ENDPOINT, LINUXKIT_S3_REGION, LINUXKIT_S3_FORCE_PATH_STYLE,\n' +
        'LINUXKIT_S3_CA_FILE, LINUXKIT_S3_ACCESS_KEY_ID and LINUXKIT_S3_SECRET_ACCESS_KEY.',
    )
    .option('--listen <address>', 'address to serve images on', '127.0.0.1')
    .option('--port <number>', 'port to serve images on', port, 5117)
    .option('--health-listen <address>', 'address for /healthz, /readyz and /metrics', '0.0.0.0')
    .option('--health-port <number>', 'port for /healthz, /readyz and /metrics', port, 5118)
    .option('--log-level <level>', `one of ${LOG_LEVELS.join(', ')}`, logLevel, 'info')
    .option('--log-level-file <file>', 'file whose level counts instead, read again every few seconds')
    .action(serve);
}

async function serve(flags: Flags): Promise<void> {
  const stop = stopSignal();
  const log = createLogger({ level: flags.logLevel });
  const levels = flags.logLevelFile === undefined ? undefined : new LogLevelFile(log, flags.logLevelFile);
  await levels?.read();
  const options = s3OptionsFromEnvironment(process.env);
  const client = createS3Client(options);
  const store = new S3Store(client, options.bucket);
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });

  using probe = new StorageProbe((deadline) => probeBucket(client, options.bucket, deadline));
  storageMetric(metrics, () => probe.problem === undefined);
  const ready = [{ name: 'storage', check: () => probe.problem }];
  await using health = await HealthServer.start({
    host: flags.healthListen,
    port: flags.healthPort,
    live: [],
    ready,
    metrics: async () => ({ contentType: metrics.contentType, body: await metrics.metrics() }),
  });
  const index = new ImageIndex(store, { now: () => performance.now(), log });
  await using registry = new BootRegistry({ index, store, log, ...bootRegistryMetrics(metrics) });
  const listening = await registry.listen(flags.port, flags.listen);
  log.info('boot registry: serving', {
    address: `${flags.listen}:${listening}`,
    health: `${flags.healthListen}:${health.port}`,
    bucket: options.bucket,
  });
  await probe.start();
  await Promise.all([aborted(stop), levels?.follow(stop)]);
  log.info('boot registry: stopping');
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function port(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 65_535)
    throw new InvalidArgumentError('Not a port.');
  return number;
}

function logLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((name) => name === text);
  if (level === undefined) throw new InvalidArgumentError(`It is one of ${LOG_LEVELS.join(', ')}.`);
  return level;
}
