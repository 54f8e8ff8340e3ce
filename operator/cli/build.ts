import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BuildError, buildErrorOf } from '../build/failure.ts';
import { type BuildResult, buildPrepared } from '../build/pipeline.ts';
import { prepareBuild } from '../build/prepare.ts';
import type { Architecture } from '../build/record.ts';
import { messageOf } from '../errors.ts';
import { formatProblem, LinuxKitConfigError } from '../linuxkit/errors.ts';
import { type LinuxKitSource, parseLinuxKitFiles } from '../linuxkit/parse.ts';
import { OUTPUT_FORMATS, type OutputFormat, unknownFormat } from '../linuxkit/schema.ts';
import { RegistryClient } from '../oci/client.ts';
import { IMAGE_LIMITS, type LimitSettings } from '../oci/limits.ts';
import { CredentialStore } from '../oci/registry/credentials.ts';
import { proxyFromEnvironment } from '../oci/registry/proxy.ts';
import type { TrustedIdentity } from '../oci/signatures/policy.ts';
import { FolderStore } from '../storage/folder/folder-store.ts';
import { formatSize, textReport } from './build-report.ts';
import { dockerConfigPath, readDockerConfig } from './docker-config-file.ts';
import { exitWithError, stopSignal } from './exit.ts';
import { LIMIT_FLAG, LIMIT_HELP, limitFlag } from './limit-flag.ts';
import { OutputFolder } from './output-folder.ts';
import {
  type AuthorityFlags,
  authorityFlag,
  type MirrorFlags,
  mirrorFlag,
  RegistryFlagError,
  readAuthorities,
  registryOptions,
} from './registry-flags.ts';
import { identityFlag, policyOfFlags } from './trust-files.ts';
import { engineName } from './version.ts';

interface Flags {
  readonly output: string;
  readonly arch: Architecture;
  readonly compression: 'auto' | 'gzip' | 'zstd';
  readonly format?: readonly OutputFormat[];
  readonly cache?: string;
  readonly insecureRegistry: readonly string[];
  readonly registryMirror?: MirrorFlags;
  readonly registryCa?: AuthorityFlags;
  readonly limit?: LimitSettings;
  readonly verifyKey: readonly string[];
  readonly verifyIdentity: readonly TrustedIdentity[];
  readonly trustedRoot?: string;
  readonly quiet: boolean;
}

/** Adds `build`: makes kernel, initrd.img, cmdline and build.json of LinuxKit YAML. */
export function registerBuild(program: Command): void {
  program
    .command('build')
    .summary('build a kernel and an initrd on this machine')
    .description(
      'Builds the LinuxKit configuration in FILE and writes kernel, initrd.img, cmdline and build.json, or with ' +
        '--format tar the root file system as image.tar, to a folder. ' +
        'Several files are merged in their order; - is standard input. Registries on loopback are spoken to ' +
        'over plain HTTP, credentials are those of docker login, and HTTP_PROXY, HTTPS_PROXY and NO_PROXY are heeded.',
    )
    .argument('<file...>', 'LinuxKit YAML, or - for standard input')
    .requiredOption(
      '-o, --output <dir>',
      'folder for the result; it is touched only when the build has succeeded',
    )
    .addOption(
      new Option('--arch <name>', 'architecture to build for').choices(['amd64', 'arm64']).default('amd64'),
    )
    .addOption(
      new Option('--compression <name>', 'of the initrd; auto takes zstd where the kernel can unpack it')
        .choices(['auto', 'gzip', 'zstd'])
        .default('auto'),
    )
    .option(
      '-f, --format <names>',
      `what to make: ${OUTPUT_FORMATS.join(', ')}, or both (repeatable, or with commas); by default what outputs of the configuration names, or kernel+initrd`,
      formatFlag,
    )
    .option('--cache <dir>', 'folder that keeps what the next build can use')
    .option(
      '--insecure-registry <host>',
      'registry that is spoken to over plain HTTP (repeatable)',
      append,
      [],
    )
    .option(
      '--registry-mirror <registry=mirror>',
      'host[:port][/path] that is asked before the registry itself (repeatable, in their order)',
      mirrorFlag,
    )
    .option(
      '--registry-ca <registry=file>',
      "authorities of a registry's certificate in PEM; * for all registries (repeatable)",
      authorityFlag,
    )
    .option(LIMIT_FLAG, LIMIT_HELP, limitFlag)
    .option(
      '--verify-key <file>',
      'public key of cosign; images that trust names must be signed with one of them (repeatable)',
      append,
      [],
    )
    .option(
      '--verify-identity <issuer,subject>',
      'who may have signed without a key; /…/ is a regular expression for all of it (repeatable)',
      identityFlag,
      [],
    )
    .option('--trusted-root <file>', 'trusted_root.json of the sigstore deployment, for identities')
    .option('-q, --quiet', 'say nothing but what goes wrong', false)
    .action(runBuild);
}

function append(value: string, values: readonly string[]): readonly string[] {
  return [...values, value];
}

function formatFlag(value: string, earlier: readonly OutputFormat[] = []): readonly OutputFormat[] {
  const formats = value.split(',').map((name) => {
    const format = OUTPUT_FORMATS.find((known) => known === name.trim());
    if (format === undefined) throw new InvalidArgumentError(unknownFormat(name.trim(), OUTPUT_FORMATS));
    return format;
  });
  return [...earlier, ...formats];
}

async function runBuild(files: readonly string[], flags: Flags): Promise<void> {
  const signal = stopSignal();
  try {
    const begun = performance.now();
    const sources = await Promise.all(files.map(readSource));
    const config = parseLinuxKitFiles(sources, { allowSource: true, requireKernel: true });
    const credentials = new CredentialStore(await readDockerConfig(dockerConfigPath(process.env)));
    const verification = await policyOfFlags(flags);
    await using output = await OutputFolder.open(flags.output);
    await using images = new RegistryClient({
      ...registryOptions({
        insecureRegistries: flags.insecureRegistry,
        registryMirrors: flags.registryMirror,
        registryAuthorities: await readAuthorities(flags.registryCa ?? {}),
        limits: flags.limit,
      }),
      credentials,
      proxy: proxyFromEnvironment(process.env),
    });
    const prepared = await prepareBuild(
      {
        config,
        architecture: flags.arch,
        compression: flags.compression,
        files: [],
        ...(verification === undefined ? {} : { verification }),
      },
      {
        images,
        ...(flags.cache === undefined ? {} : { cache: new FolderStore(flags.cache) }),
        workFolder: output.work,
        signal,
        limits: { ...IMAGE_LIMITS, ...flags.limit },
        report: flags.quiet ? () => undefined : textReport(process.stderr, () => performance.now()),
        now: () => new Date(),
        engine: engineName(),
        findResult: (hash) => output.find(hash),
      },
    );
    const formats = new Set(flags.format ?? config.outputs?.map(({ format }) => format) ?? []);
    if (formats.size === 0) formats.add('kernel+initrd');
    const result = formats.has('kernel+initrd') ? await buildPrepared(prepared) : undefined;
    // Loaded where it is wanted: it brings with it what makes initrds.
    const tar = formats.has('tar')
      ? await (await import('../build/tar/build-tar.ts')).buildTar(prepared)
      : undefined;
    await output.accept({ result, tar });
    if (flags.quiet) return;
    const seconds = `${((performance.now() - begun) / 1000).toFixed(1)} s`;
    if (result !== undefined) process.stderr.write(`${summary(result, seconds)}\n`);
    if (tar !== undefined) {
      const { size, sha256 } = tar.files['image.tar'];
      process.stderr.write(`sha256:${sha256} built in ${seconds}: image.tar ${formatSize(size)}\n`);
    }
  } catch (error) {
    exitWithError(readable(error));
  }
}

function summary({ record, files }: BuildResult, seconds: string): string {
  const how = files === undefined ? 'unchanged' : `built in ${seconds}`;
  const sizes = `kernel ${formatSize(record.files.kernel.size)}, initrd ${formatSize(record.files['initrd.img'].size)}`;
  return `${record.digest} ${how}: ${sizes}, ${record.compression}`;
}

/** A file of configurations is text for people: what is larger is something else. */
const MAX_SOURCE_BYTES = 16 * 1024 * 1024;

async function readSource(name: string): Promise<LinuxKitSource> {
  try {
    const content = name === '-' ? await text(process.stdin) : await readFile(name, 'utf8');
    if (content.length <= MAX_SOURCE_BYTES)
      return { name: name === '-' ? 'standard input' : name, text: content };
  } catch (error) {
    throw new BuildError('configure', 'InvalidLinuxKitConfig', `cannot read ${name}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  throw new BuildError(
    'configure',
    'LimitExceeded',
    `${name} is larger than MAX_SOURCE_BYTES (${MAX_SOURCE_BYTES})`,
  );
}

/** Problems of a configuration each on a line of their own. */
function readable(error: unknown): BuildError | RegistryFlagError {
  if (error instanceof RegistryFlagError) return error;
  const failure = buildErrorOf('configure', error);
  const cause = error instanceof LinuxKitConfigError ? error : failure.cause;
  if (!(cause instanceof LinuxKitConfigError)) return failure;
  const lines = cause.problems.map((problem) => `\n  ${formatProblem(problem)}`);
  return new BuildError(failure.step, failure.code, `the configuration cannot be built:${lines.join('')}`, {
    cause,
  });
}
