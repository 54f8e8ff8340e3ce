import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { cgroupFolders } from '../process/cgroups.ts';
import { mountPointsBelow } from '../process/mounts.ts';
import { run } from '../process/run.ts';
import { processesNaming } from '../process/search.ts';
import { silentReporter } from '../progress/reporter.ts';
import { ensurePackages } from '../tools/packages.ts';
import { buildArguments, buildImage, saveImage } from './build.ts';
import { ensureDocker } from './engine.ts';
import { OwnEngine } from './own-engine.ts';

const signal = AbortSignal.timeout(600_000);
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'docker-'));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

test('an engine that is named but not there is a failure with the reason', async () => {
  vi.stubEnv('DOCKER_HOST', `unix://${folder}/no.sock`);
  await expect(ensureDocker(silentReporter, signal)).rejects.toMatchObject({
    code: 'EngineUnavailable',
    message: expect.stringContaining('ENOENT') as string,
    advice: expect.stringContaining('DOCKER_HOST') as string,
  });
});

test('builds in stages with a secret and the host network, and saves the result', async () => {
  const engine = await ensureDocker(silentReporter, signal);
  await ensurePackages(['busybox-static'], silentReporter, signal);
  await copyFile('/bin/busybox', join(folder, 'busybox'));
  await writeFile(join(folder, 'token'), 'a secret');
  await writeFile(
    join(folder, 'Dockerfile'),
    [
      'FROM scratch AS first',
      'COPY busybox /bin/sh',
      'RUN --mount=type=secret,id=token ["/bin/sh", "-c", "test \\"$(cat /run/secrets/token)\\" = \\"a secret\\" && echo done > /done"]',
      'FROM scratch',
      'COPY --from=first /done /done',
      '',
    ].join('\n'),
  );
  const tag = 'linuxkit-operator-test/stages:latest';
  await buildImage(
    engine,
    { context: folder, tag, network: 'host', secrets: { token: join(folder, 'token') } },
    silentReporter,
    signal,
  );
  await saveImage(engine, tag, join(folder, 'image.tar'), signal);
  expect((await stat(join(folder, 'image.tar'))).size).toBeGreaterThan(1024);
  await run('docker', ['rmi', tag], { signal, env: engine.env });
});

test('an engine of our own, with a container running, stops completely', async () => {
  await ensurePackages(['docker.io', 'iproute2', 'busybox-static'], silentReporter, signal);
  const names = { bridge: 'lko-docker-t', address: '10.217.254.1/24', cgroup: 'linuxkit-operator-docker-t' };
  const rules = async (): Promise<string> =>
    (await run('sh', ['-c', 'iptables-save 2>/dev/null || true'], { signal })).replaceAll(/^#.*$/gm, '');
  const before = await rules();
  const own = new OwnEngine(join(folder, 'engine'), names);
  try {
    await own.start(signal);
    const env = { DOCKER_HOST: own.host };
    const context = join(folder, 'context');
    await mkdir(context);
    await copyFile('/bin/busybox', join(context, 'busybox'));
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY busybox /busybox\n');
    await run('docker', ['build', '--tag=sleeper', context], {
      signal,
      env: { ...env, DOCKER_BUILDKIT: '0' },
    });
    await run(
      'docker',
      ['run', '--detach', '--publish=127.0.0.1::80', 'sleeper', '/busybox', 'sleep', '600'],
      {
        signal,
        env,
      },
    );
    expect(await mountPointsBelow(own.folder)).not.toEqual([]);
    expect(await cgroupFolders(names.cgroup)).not.toEqual([]);
  } finally {
    await own.stop(signal);
  }
  expect(await processesNaming(own.folder)).toEqual([]);
  expect(await mountPointsBelow(own.folder)).toEqual([]);
  expect(await cgroupFolders(names.cgroup)).toEqual([]);
  expect(await run('ip', ['-oneline', 'link', 'show'], { signal })).not.toContain(names.bridge);
  expect(await rules()).toBe(before);
});

test('arguments of a build', () => {
  expect(
    buildArguments({
      context: '.',
      tag: 'a:b',
      dockerfile: 'D',
      buildArguments: { X: '1' },
      network: 'none',
    }),
  ).toEqual(['build', '--progress=plain', '--tag=a:b', '--file=D', '--network=none', '--build-arg=X=1', '.']);
});
