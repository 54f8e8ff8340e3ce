import { join } from 'node:path';
import { withLock } from '../process/lock.ts';
import { Failure } from '../progress/failure.ts';
import type { Reporter } from '../progress/reporter.ts';
import { cacheFolder } from '../tools/cache.ts';
import { ensurePackages } from '../tools/packages.ts';
import { OwnEngine } from './own-engine.ts';
import { type DockerHost, whyUnreachable } from './ping.ts';

/** A Docker engine that answers. */
export interface DockerEngine {
  readonly host: DockerHost;
  /** Whether it is the engine that this project runs, which `stopOwnEngine` stops. */
  readonly own: boolean;
  /** What testcontainers and docker clients need in their environment. */
  readonly env: Readonly<Record<string, string>>;
}

const systemSocket = 'unix:///var/run/docker.sock';

/**
 * Finds a Docker engine, or installs and starts one: the one DOCKER_HOST names, the one
 * of ours that runs already, the system's, and last a dockerd of our own. It is left
 * running for whoever comes next.
 * @throws Failure `EngineUnavailable` with the reason. Tests fail by it, they never skip.
 */
export async function ensureDocker(reporter: Reporter, signal: AbortSignal): Promise<DockerEngine> {
  const own = new OwnEngine(join(cacheFolder(), 'docker'));
  const named = process.env['DOCKER_HOST'];
  if (named !== undefined && named !== '' && named !== own.host) {
    const reason = await whyUnreachable(named, signal);
    if (reason === undefined) return describe(named, false);
    throw new Failure(
      'EngineUnavailable',
      `the Docker engine that DOCKER_HOST names does not answer: ${reason}`,
      {
        advice: 'start it, or unset DOCKER_HOST to have one started here',
      },
    );
  }
  if ((await whyUnreachable(own.host, signal)) === undefined) return describe(own.host, true);
  if ((await whyUnreachable(systemSocket, signal)) === undefined) return describe(systemSocket, false);

  await ensurePackages(['docker.io', 'iproute2'], reporter, signal);
  // Where services are started at installation, that just happened.
  if ((await whyUnreachable(systemSocket, signal)) === undefined) return describe(systemSocket, false);
  await withLock(`${own.folder}.lock`, signal, async () => {
    if ((await whyUnreachable(own.host, signal)) === undefined) return;
    await reporter.step('start a Docker engine', async () => {
      await own.start(signal);
    });
  });
  return describe(own.host, true);
}

/** Stops the engine of ours, its containers included, if it runs. Its images and build cache are kept. */
export async function stopOwnEngine(signal: AbortSignal): Promise<void> {
  const own = new OwnEngine(join(cacheFolder(), 'docker'));
  await withLock(`${own.folder}.lock`, signal, async () => {
    await own.stop(signal);
  });
}

function describe(host: DockerHost, own: boolean): DockerEngine {
  return {
    host,
    own,
    env: {
      DOCKER_HOST: host,
      TESTCONTAINERS_RYUK_DISABLED: 'true',
      ...(host.startsWith('unix:') ? { TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1' } : {}),
    },
  };
}
