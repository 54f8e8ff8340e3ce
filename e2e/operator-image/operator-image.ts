import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { buildImage } from '../docker/build.ts';
import type { DockerEngine } from '../docker/engine.ts';
import { run } from '../process/run.ts';
import type { Reporter } from '../progress/reporter.ts';
import { makeBaseImages } from './base-images.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const COMMON = ['package.json', 'package-lock.json', '.npmrc', 'tsconfig.json', 'scripts/bundle.ts'];

/**
 * Builds the repository's Dockerfile and returns the image's name. Its tag is a digest of what
 * went in, so the same sources are built once.
 */
export async function buildOperatorImage(
  engine: DockerEngine,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<string> {
  const version = { VERSION: packageJson.version };
  return await buildOnce('linuxkit-operator', 'Dockerfile', ['operator'], engine, reporter, signal, version);
}

/** Builds the image that KubeVirt's stand-in runs from. */
export async function buildStandInImage(
  engine: DockerEngine,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<string> {
  const sources = ['operator/runtime', 'operator/errors.ts', 'e2e/kubevirt'];
  return await buildOnce('kubevirt-stand-in', 'e2e/kubevirt/Dockerfile', sources, engine, reporter, signal);
}

async function buildOnce(
  name: string,
  dockerfile: string,
  sources: readonly string[],
  engine: DockerEngine,
  reporter: Reporter,
  signal: AbortSignal,
  further: Readonly<Record<string, string>> = {},
): Promise<string> {
  const tag = `${name}:${await sourceDigest([dockerfile, ...COMMON, ...sources])}`;
  const present = await run('docker', ['image', 'ls', '--quiet', tag], { signal, env: engine.env });
  if (present.trim() !== '') return tag;
  const bases = await makeBaseImages(engine.env, signal);
  const buildArguments = {
    BUILD_IMAGE: bases.build,
    RUNTIME_IMAGE: bases.runtime,
    ...further,
  };
  await buildImage(
    engine,
    { context: ROOT, dockerfile: join(ROOT, dockerfile), tag, buildArguments, network: 'host' },
    reporter,
    signal,
  );
  return tag;
}

async function sourceDigest(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) {
    const full = join(ROOT, path);
    const entries = await readdir(full, { recursive: true, withFileTypes: true }).catch(() => undefined);
    const files =
      entries === undefined
        ? [full]
        : entries
            .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
            .map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort()) hash.update(`${file.slice(ROOT.length)}\0`).update(await readFile(file));
  }
  return hash.digest('hex').slice(0, 16);
}
