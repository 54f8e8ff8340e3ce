import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { BUILD_PATHS } from '../api/names.ts';
import { BuildError, buildErrorOf } from '../build/failure.ts';
import { exitCodeOf, failedOutcome, signersOf, terminationMessage } from '../build/outcome.ts';
import { build } from '../build/pipeline.ts';
import { findResult, publish } from '../build/publish.ts';
import type { BuildOutcome } from '../build/record.ts';
import type { BuildRequest } from '../build/request.ts';
import { messageOf } from '../errors.ts';
import { parseLinuxKit, parseLinuxKitObject } from '../linuxkit/parse.ts';
import { BOOTABLE_FORMATS, type LinuxKitConfig } from '../linuxkit/schema.ts';
import { RegistryClient } from '../oci/client.ts';
import { CredentialStore } from '../oci/registry/credentials.ts';
import { type DockerConfig, parseDockerConfig } from '../oci/registry/docker-config.ts';
import { proxyFromEnvironment } from '../oci/registry/proxy.ts';
import type { VerificationPolicy } from '../oci/signatures/policy.ts';
import { PresignedStore } from '../storage/endpoint/presigned-store.ts';
import { textReport } from './build-report.ts';
import { errorText, stopSignal } from './exit.ts';
import { registryOptions } from './registry-flags.ts';
import { readTrustFile } from './trust-files.ts';
import { engineName } from './version.ts';

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

/** Runs the build of a pod to its end, whatever that is, and gives the exit code. `log` is told how it goes. */
export async function runBuildJob(
  paths: BuildPaths,
  signal: AbortSignal,
  log: NodeJS.WritableStream = process.stderr,
): Promise<number> {
  const outcome = await buildOutcome(paths, signal, log);
  await writeFile(paths.terminationMessage, terminationMessage(outcome));
  return exitCodeOf(outcome);
}

async function buildOutcome(
  paths: BuildPaths,
  signal: AbortSignal,
  log: NodeJS.WritableStream,
): Promise<BuildOutcome> {
  try {
    return await buildAndPublish(paths, signal, log);
  } catch (error) {
    const failure = buildErrorOf('configure', error);
    log.write(`${errorText(failure)}\n`);
    return failedOutcome(failure);
  }
}

async function buildAndPublish(
  paths: BuildPaths,
  signal: AbortSignal,
  log: NodeJS.WritableStream,
): Promise<BuildOutcome> {
  const request = await readRequest(paths.request);
  const config = await readConfig(request, paths);
  const credentials = new CredentialStore(await readPullSecrets(request, paths));
  const verification = await readVerification(request, paths);
  await using images = new RegistryClient({
    ...registryOptions(request),
    credentials,
    proxy: proxyFromEnvironment(process.env),
    userAgent: engineName(),
  });
  await using store = new PresignedStore({ ...request.endpoint, tokenFile: paths.token });
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
        report: textReport(log, () => performance.now()),
        now: () => new Date(),
        engine: engineName(),
        findResult: (hash) => findResult(store, request.image, hash, signal),
      },
    );
    const verifiedBy = signersOf(result.inputs);
    const begun = performance.now();
    const { record, bytesStored } = await published(() => publish(store, request.image, result, signal));
    return {
      result: 'succeeded',
      digest: record.digest,
      reused: result.files === undefined,
      seconds: { ...result.seconds, publish: (performance.now() - begun) / 1000 },
      bytesPulled: result.bytesPulled,
      bytesStored,
      ...(verifiedBy === undefined ? {} : { verifiedBy }),
    };
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
}

async function published<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw buildErrorOf('publish', error);
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
    pullSecrets.map(async (name) => {
      const path = join(paths.pullSecrets, name, '.dockerconfigjson');
      try {
        return parseDockerConfig(await readFile(path, 'utf8'), `pull secret ${name}`);
      } catch (error) {
        throw new BuildError('resolve', 'RegistryUnauthorized', messageOf(error), { cause: error });
      }
    }),
  );
}
