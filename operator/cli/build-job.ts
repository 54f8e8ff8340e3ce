import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { BUILD_PATHS } from '../api/names.ts';
import { pushBootImage } from '../bootregistry/push.ts';
import { BuildError, buildErrorOf, pushErrorOf } from '../build/failure.ts';
import { LAST_MEMBER } from '../build/member.ts';
import { exitCodeOf, failedOutcome, signersOf, terminationMessage } from '../build/outcome.ts';
import { build } from '../build/pipeline.ts';
import type { ReportProgress } from '../build/progress.ts';
import { findResult, publish } from '../build/publish.ts';
import type { BuildOutcome, BuildStep } from '../build/record.ts';
import type { BuildRequest } from '../build/request.ts';
import { messageOf } from '../errors.ts';
import { parseLinuxKit, parseLinuxKitObject } from '../linuxkit/parse.ts';
import { BOOTABLE_FORMATS, type LinuxKitConfig } from '../linuxkit/schema.ts';
import { RegistryClient } from '../oci/client.ts';
import { IMAGE_LIMITS } from '../oci/limits.ts';
import { PushClient } from '../oci/push-client.ts';
import { parseReference } from '../oci/reference.ts';
import { CredentialStore } from '../oci/registry/credentials.ts';
import { type DockerConfig, parseDockerConfig } from '../oci/registry/docker-config.ts';
import type { RegistryClientOptions } from '../oci/registry/options.ts';
import { proxyFromEnvironment } from '../oci/registry/proxy.ts';
import type { VerificationPolicy } from '../oci/signatures/policy.ts';
import { PresignedStore } from '../storage/endpoint/presigned-store.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { inSpan, type Span, type Tracer, traceIdOf } from '../telemetry/tracer.ts';
import { type Environment, startTracing } from '../telemetry/tracing.ts';
import { logReport } from './build-log.ts';
import { tracedStore, traceReport } from './build-trace.ts';
import { stopSignal } from './exit.ts';
import { registryOptions } from './registry-flags.ts';
import { readTrustFile } from './trust-files.ts';
import { engineName, engineVersion } from './version.ts';

/** Folders and files of a build pod; {@link BUILD_PATHS} outside tests. */
export type BuildPaths = Readonly<Record<keyof typeof BUILD_PATHS, string>>;

/** Adds `build-job`: builds what the request in this pod asks for, and stores it through the artifact endpoint. */
export function registerBuildJob(program: Command): void {
  program
    .command('build-job')
    .summary('build in a pod made by the operator')
    .description(
      `Reads ${BUILD_PATHS.request}, builds, stores the artifact through the operator's artifact endpoint, ` +
        'and leaves the outcome as the termination message. Exits with 0, 65 (failed for good) or 75 (may pass).',
    )
    .option(
      '--root <dir>',
      'folder that the paths of a build pod are looked for in, for builds outside of one',
      '',
    )
    .action(async ({ root }: { readonly root: string }) => {
      const paths = Object.fromEntries(
        Object.entries(BUILD_PATHS).map(([name, path]) => [name, `${root}${path}`]),
      );
      process.exitCode = await runBuildJob(paths as BuildPaths, stopSignal());
    });
}

/** Where a build pod's log and traces go. */
export interface BuildSignals {
  readonly log: NodeJS.WritableStream;
  /** `TRACEPARENT` and `OTEL_*`, as the controller has set them. */
  readonly environment: Environment;
}

/** Runs the build of a pod to its end, whatever that is, and gives the exit code. */
export async function runBuildJob(
  paths: BuildPaths,
  signal: AbortSignal,
  { log, environment }: BuildSignals = { log: process.stderr, environment: process.env },
): Promise<number> {
  const logger = createLogger({ level: 'info', stream: log });
  await using tracing = await startTracing({
    environment,
    service: 'linuxkit-build',
    version: engineVersion(),
    attributes: { 'k8s.pod.name': hostname() },
    logger,
  });
  const { tracer } = tracing;
  const span = tracer.start('build', { parent: environment['TRACEPARENT'] });
  const outcome = await buildOutcome(paths, signal, { logger, tracer, span });
  // What comes after may take seconds, and the pod be told to end.
  await writeFile(paths.terminationMessage, terminationMessage(outcome));
  return exitCodeOf(outcome);
}

interface Telemetry {
  readonly logger: Logger;
  readonly tracer: Tracer;
  /** Of the whole build. */
  readonly span: Span;
}

async function buildOutcome(
  paths: BuildPaths,
  signal: AbortSignal,
  telemetry: Telemetry,
): Promise<BuildOutcome> {
  const { span } = telemetry;
  let logger = telemetry.logger.with({ traceID: traceIdOf(span.traceparent) });
  try {
    const request = await readRequest(paths.request);
    const { namespace, image } = request;
    logger = logger.with({ namespace, name: image });
    span.set({ 'k8s.namespace.name': namespace, 'linuxkit.name': image });
    const outcome = await buildAndPublish(request, paths, signal, { ...telemetry, logger });
    const { digest, reused } = outcome;
    logger.info('build succeeded', { digest, reused });
    span.set({ 'linuxkit.digest': digest, 'linuxkit.reused': reused });
    span.end();
    return outcome;
  } catch (error) {
    const failure = buildErrorOf('configure', error);
    const { step, code, message } = failure;
    logger.error('build failed', { step, code, error: message });
    span.end(`${code}: ${message}`);
    return failedOutcome(failure);
  }
}

async function buildAndPublish(
  request: BuildRequest,
  paths: BuildPaths,
  signal: AbortSignal,
  { logger, tracer, span }: Telemetry,
): Promise<BuildOutcome & { readonly result: 'succeeded' }> {
  const config = await readConfig(request, paths);
  const credentials = new CredentialStore(await readPullSecrets(request, paths));
  const verification = await readVerification(request, paths);
  const registries = {
    ...registryOptions(request),
    proxy: proxyFromEnvironment(process.env),
    userAgent: engineName(),
  };
  await using images = new RegistryClient({ ...registries, credentials });
  await using target = await pushTarget(request, paths, registries);
  await using store = new PresignedStore({ ...request.endpoint, tokenFile: paths.token });
  const logged = logReport(logger);
  const traced = traceReport(tracer, span, Date.now);
  const cache = { hits: 0, misses: 0, bytes: 0 };
  const report: ReportProgress = (event) => {
    logged(event);
    traced(event);
    if (event.kind === 'member' && event.name !== LAST_MEMBER) count(cache, event);
  };
  const workFolder = await mkdtemp(join(paths.work, 'build-'));
  try {
    const result = await build(
      {
        config,
        architecture: request.architecture,
        compression: request.compression,
        files: request.files.map(({ path, mode, file }) => ({
          path,
          mode: Number.parseInt(mode ?? '0600', 8),
          source: join(paths.files, file),
        })),
        ...(verification === undefined ? {} : { verification }),
      },
      {
        images,
        cache: store,
        workFolder,
        signal,
        limits: { ...IMAGE_LIMITS, ...request.limits },
        report,
        now: () => new Date(),
        engine: engineName(),
        findResult: (hash) => findResult(store, request.image, hash, signal),
      },
    );
    const verifiedBy = signersOf(result.inputs);
    logged({ kind: 'step', step: 'upload' });
    const begun = performance.now();
    const publishing = tracer.start('upload', { parent: span.traceparent });
    const writing = tracedStore(store, tracer, publishing);
    const { record, bytesStored } = await inSpan(
      publishing,
      () => failingAs(publishErrorOf, () => publish(writing, request.image, result, signal)),
      messageOf,
    );
    if (target !== undefined) {
      const pushed = await inSpan(
        tracer.start('push', { parent: span.traceparent }),
        () => failingAs(pushErrorOf, () => pushBootImage(store, request.image, record, target, signal)),
        messageOf,
      );
      logger.info('boot image pushed', { repository: request.bootImage?.repository, ...pushed });
    }
    const seconds = { ...result.seconds, upload: (performance.now() - begun) / 1000 };
    logged({ kind: 'ended', step: 'upload', seconds: seconds.upload });
    return {
      result: 'succeeded',
      digest: record.digest,
      reused: result.files === undefined,
      seconds,
      bytesPulled: result.bytesPulled,
      bytesStored,
      ...(result.files === undefined ? {} : { cache }),
      ...(verifiedBy === undefined ? {} : { verifiedBy }),
    };
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
}

function count(
  cache: { hits: number; misses: number; bytes: number },
  { cached, size }: { readonly cached: boolean; readonly size: number },
): void {
  if (cached) {
    cache.hits += 1;
    cache.bytes += size;
  } else cache.misses += 1;
}

function publishErrorOf(thrown: unknown): BuildError {
  return buildErrorOf('upload', thrown);
}

async function failingAs<T>(failure: (thrown: unknown) => BuildError, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw failure(error);
  }
}

/** The request is the operator's own: it is checked only for being of this version. */
async function readRequest(path: string): Promise<BuildRequest> {
  const value: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (
    typeof value === 'object' &&
    value !== null &&
    'schema' in value &&
    value.schema === 'linuxkit.dev/build-request/v1'
  ) {
    return value as BuildRequest;
  }
  throw new BuildError(
    'configure',
    'InternalError',
    `${path} is no build request of this version of the operator`,
  );
}

/** Inline, or YAML text whose problems have lines and columns. */
async function readConfig({ config }: BuildRequest, paths: BuildPaths): Promise<LinuxKitConfig> {
  const options = { allowSource: false, requireKernel: true, formats: BOOTABLE_FORMATS };
  if ('inline' in config) return parseLinuxKitObject(config.inline, options);
  const text = await readFile(join(paths.config, config.file), 'utf8');
  return parseLinuxKit(text, { ...options, source: config.file });
}

async function readVerification(
  { verification }: BuildRequest,
  paths: BuildPaths,
): Promise<VerificationPolicy | undefined> {
  if (verification === undefined) return undefined;
  const { publicKeys, identities, trustedRoot } = verification;
  const read = (file: string): Promise<string> => readTrustFile(join(paths.verification, file));
  return {
    publicKeys: await Promise.all(
      publicKeys.map(async (key) => ('pem' in key ? key.pem : await read(key.file))),
    ),
    identities,
    ...(trustedRoot === undefined ? {} : { trustedRoot: await read(trustedRoot) }),
  };
}

async function readPullSecrets(
  { pullSecrets }: BuildRequest,
  paths: BuildPaths,
): Promise<readonly DockerConfig[]> {
  return Promise.all(
    pullSecrets.map((name) =>
      readCredentials(join(paths.pullSecrets, name), `pull secret ${name}`, 'resolve'),
    ),
  );
}

async function readCredentials(folder: string, source: string, step: BuildStep): Promise<DockerConfig> {
  try {
    return parseDockerConfig(await readFile(join(folder, '.dockerconfigjson'), 'utf8'), source);
  } catch (error) {
    throw new BuildError(step, 'RegistryUnauthorized', messageOf(error), { cause: error });
  }
}

/** The registry that the boot image goes to as well, if there is one. Credentials to pull with are not shown to it. */
async function pushTarget(
  { bootImage }: BuildRequest,
  paths: BuildPaths,
  options: RegistryClientOptions,
): Promise<PushClient | undefined> {
  if (bootImage === undefined) return undefined;
  const { repository, pushSecret } = bootImage;
  const configs =
    pushSecret === undefined
      ? []
      : [await readCredentials(paths.pushSecret, `push secret ${pushSecret}`, 'upload')];
  return new PushClient(parseReference(repository), {
    ...options,
    credentials: new CredentialStore(configs),
  });
}
