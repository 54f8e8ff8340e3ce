import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from '../process/run.ts';

import { sharedLibraries } from './debian/libraries.ts';
import { DebianPackages } from './debian/packages.ts';
import type { Entry } from './entry.ts';

const GO_ADVICE = 'the programs of the guest are built with Go: put go on PATH';
const GUEST = fileURLToPath(new URL('guest/', import.meta.url));

/** What a component is made with: packages, Go programs of the guest, scratch space. */
export class Workshop {
  readonly packages: DebianPackages;
  readonly signal: AbortSignal;
  readonly #cache: string;

  constructor(cache: string, signal: AbortSignal) {
    this.#cache = cache;
    this.signal = signal;
    this.packages = new DebianPackages(join(cache, 'debs'), signal);
  }

  /** The folder in which a Debian package lies unpacked. */
  package(name: string): Promise<string> {
    return this.packages.unpack(name);
  }

  /** The shared libraries of programs on disk, found in these packages. */
  async libraries(programs: readonly string[], packages: readonly string[]): Promise<readonly Entry[]> {
    return sharedLibraries(programs, await this.packages.unpackAll(packages));
  }

  /** A path below `guest/`, where what runs inside the machines is written down. */
  guest(path: string): string {
    return join(GUEST, path);
  }

  /** A statically linked program of the guest's Go module; built when its source has changed. */
  async goProgram(name: string): Promise<string> {
    const version = await run('go', ['env', 'GOVERSION'], {
      env: { GOTOOLCHAIN: 'local' },
      signal: this.signal,
      advice: GO_ADVICE,
    });
    const key = createHash('sha256')
      .update(`${version}${await digestOf(GUEST)}`)
      .digest('hex')
      .slice(0, 16);
    const home = join(this.#cache, 'guest', key);
    const program = join(home, name);
    if (await exists(program)) return program;
    await mkdir(home, { recursive: true });
    const staging = await mkdtemp(join(home, '.build-'));
    try {
      await run(
        'go',
        [
          'build',
          '-trimpath',
          '-buildvcs=false',
          '-ldflags=-s -w -buildid=',
          '-o',
          join(staging, name),
          `./${name}`,
        ],
        {
          cwd: GUEST,
          env: { CGO_ENABLED: '0', GOOS: 'linux', GOARCH: 'amd64', GOTOOLCHAIN: 'local', GOFLAGS: '' },
          signal: this.signal,
          timeout: 300_000,
          advice: GO_ADVICE,
        },
      );
      await rename(join(staging, name), program);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
    return program;
  }

  /** Gives `use` an empty folder and removes it afterwards. */
  async withScratch<T>(use: (folder: string) => Promise<T>): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), 'linuxkit-component-'));
    try {
      return await use(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

/** SHA-256 (hex) over names and contents of a file, or of all files below a folder. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for (const found of await filesBelow(path)) {
    hash.update(`${relative(path, found)}\0`);
    hash.update(await readFile(found));
    hash.update('\0');
  }
  return hash.digest('hex');
}

async function filesBelow(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch((thrown: unknown) => {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOTDIR') return undefined;
    throw thrown;
  });
  if (entries === undefined) return [path];
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
