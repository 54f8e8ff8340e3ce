import { access } from 'node:fs/promises';
import { run } from '../process/run.ts';
import { Failure } from '../progress/failure.ts';
import type { Reporter } from '../progress/reporter.ts';
import type { DockerEngine } from './engine.ts';

/** What `docker build` is given. */
export interface ImageBuild {
  readonly context: string;
  /** Path of the Dockerfile; default `Dockerfile` in the context. */
  readonly dockerfile?: string;
  readonly tag: string;
  readonly buildArguments?: Readonly<Record<string, string>>;
  /** Secret id to the file that holds it, for `RUN --mount=type=secret`. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** `host` lets RUN steps reach the network where the engine does not masquerade. */
  readonly network?: 'host' | 'none';
}

/**
 * Builds an image by BuildKit.
 * @throws Failure `CommandFailed` with the builder's last lines.
 */
export async function buildImage(
  engine: DockerEngine,
  build: ImageBuild,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<void> {
  const client = await findBuildClient(engine, signal);
  await reporter.step(`build image ${build.tag}`, async (step) => {
    await run(client, buildArguments(build), {
      signal,
      timeout: 1_800_000,
      env: { ...engine.env, DOCKER_BUILDKIT: '1' },
      onLine: (line) => {
        if (line.startsWith('#')) step.detail(line.slice(0, 100));
      },
    });
  });
}

/** Writes an image of the engine as an archive that containerd and other engines import. */
export async function saveImage(
  engine: DockerEngine,
  tag: string,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const client = await findBuildClient(engine, signal);
  await run(client, ['save', '--output', file, tag], { signal, timeout: 300_000, env: engine.env });
}

/** The arguments of `docker` for a build. */
export function buildArguments(build: ImageBuild): readonly string[] {
  return [
    'build',
    '--progress=plain',
    `--tag=${build.tag}`,
    ...(build.dockerfile === undefined ? [] : [`--file=${build.dockerfile}`]),
    ...(build.network === undefined ? [] : [`--network=${build.network}`]),
    ...Object.entries(build.buildArguments ?? {}).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...Object.entries(build.secrets ?? {}).map(([id, file]) => `--secret=id=${id},src=${file}`),
    build.context,
  ];
}

/**
 * Finds a client that can drive BuildKit: Debian's has it built in, newer ones need
 * their buildx plugin, which not every installation has.
 */
async function findBuildClient(engine: DockerEngine, signal: AbortSignal): Promise<string> {
  const debian = '/usr/bin/docker';
  const withPlugin = async (client: string): Promise<boolean> =>
    await run(client, ['buildx', 'version'], { signal, env: engine.env }).then(
      () => true,
      () => false,
    );
  if (await withPlugin('docker')) return 'docker';
  try {
    await access(debian);
    return debian;
  } catch (cause) {
    throw new Failure('ToolMissing', 'no docker client here can drive BuildKit', {
      cause,
      advice: "install Debian's docker.io, or the buildx plugin of the client you have",
    });
  }
}
