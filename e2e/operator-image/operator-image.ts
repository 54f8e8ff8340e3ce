import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../process/run.ts';
import { makeBaseImages } from './base-images.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/**
 * Builds the repository's Dockerfile on the Docker engine at `env` and returns the image's name.
 * The tag is a digest of what went in: the same sources are built once.
 */
export async function buildOperatorImage(
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  const tag = await sourceDigest([
    'Dockerfile',
    'package.json',
    'package-lock.json',
    '.npmrc',
    'tsconfig.json',
    'scripts/bundle.ts',
    'operator',
  ]);
  return await buildOnce(`linuxkit-operator:${tag}`, 'Dockerfile', ROOT, env, signal);
}

/** Builds the image that KubeVirt's stand-in runs from. */
export async function buildStandInImage(
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  const tag = await sourceDigest([
    'package-lock.json',
    'scripts/bundle.ts',
    'operator/runtime',
    'operator/errors.ts',
    'e2e/kubevirt',
  ]);
  return await buildOnce(`kubevirt-stand-in:${tag}`, 'e2e/kubevirt/Dockerfile', ROOT, env, signal);
}

async function buildOnce(
  image: string,
  dockerfile: string,
  context: string,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  const present = await run('docker', ['image', 'ls', '--quiet', image], { signal, env });
  if (present.trim() !== '') return image;
  const bases = await makeBaseImages(env, signal);
  await run(
    'docker',
    [
      'build',
      '--network=host',
      '--file',
      join(context, dockerfile),
      '--build-arg',
      `BUILD_IMAGE=${bases.build}`,
      '--build-arg',
      `RUNTIME_IMAGE=${bases.runtime}`,
      '--tag',
      image,
      context,
    ],
    { signal, env, timeout: 600_000, advice: 'see the end of the build log above' },
  );
  return image;
}

async function sourceDigest(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) {
    const full = join(ROOT, path);
    const names = await readdir(full, { recursive: true, withFileTypes: true }).catch(() => undefined);
    const files =
      names === undefined
        ? [full]
        : names
            .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
            .map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort()) hash.update(`${file.slice(ROOT.length)}\0`).update(await readFile(file));
  }
  return hash.digest('hex').slice(0, 16);
}
