import { copyFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { run } from '../process/run.ts';
import { silentReporter } from '../progress/reporter.ts';
import { ensurePackages } from '../tools/packages.ts';
import { buildArguments, buildImage, saveImage } from './build.ts';
import { ensureDocker } from './engine.ts';

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
