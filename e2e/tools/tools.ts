import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { withLock } from '../process/lock.ts';
import { run } from '../process/run.ts';
import { Failure } from '../progress/failure.ts';
import type { Reporter, Step } from '../progress/reporter.ts';
import { cacheFolder } from './cache.ts';
import {
  buildFlags,
  type FamilyName,
  familyOf,
  type ToolFamily,
  type ToolName,
  toolFamilies,
} from './families.ts';
import { ensurePackages } from './packages.ts';

const goAdvice = 'install Go 1.26 (https://go.dev/dl/) and see that `go` is on PATH';

/** An hour: a first compilation on one slow core must be able to end. */
const compileTimeout = 3_600_000;

/**
 * Compiles the named tools unless they are in the cache, and returns the absolute
 * path of each. Cached binaries are keyed by everything that decides their content:
 * module files, sources, flags, Go version and architecture. Families are compiled one after another: what
 * they have in common, the standard library first of all, would be compiled twice side by side.
 * @throws Failure `ToolMissing` without Go, `CompileFailed` with the compiler's last lines.
 */
export async function ensureTools<N extends ToolName>(
  names: readonly N[],
  reporter: Reporter,
  signal: AbortSignal,
): Promise<Readonly<Record<N, string>>> {
  const byFamily = Map.groupBy(names, familyOf);
  const toolchain = (await run('go', ['env', 'GOVERSION', 'GOARCH'], { signal, advice: goAdvice })).trim();
  const paths: (readonly [string, string])[] = [];
  for (const [family, members] of byFamily) {
    const folder = await ensureFamily(family, members, toolchain, reporter, signal);
    paths.push(...members.map((name) => [name, join(folder, name)] as const));
  }
  return Object.fromEntries(paths) as Record<N, string>;
}

async function ensureFamily(
  name: FamilyName,
  members: readonly ToolName[],
  toolchain: string,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<string> {
  const family: ToolFamily = toolFamilies[name];
  const source = join(import.meta.dirname, name);
  const parent = join(cacheFolder(), 'tools');
  const folder = join(parent, `${name}-${await familyDigest(source, family, toolchain)}`);
  if ((await missing(folder, members)).length === 0) return folder;

  await mkdir(folder, { recursive: true });
  await withLock(`${folder}.lock`, signal, async () => {
    const wanted = await missing(folder, members);
    if (wanted.length === 0) return;
    // What a compilation left that was killed: whoever holds the lock is alone.
    for (const entry of await readdir(parent)) {
      if (entry.startsWith(`${basename(folder)}.tmp-`)) await rm(join(parent, entry), { recursive: true });
    }
    if (family.cgo !== undefined) await ensurePackages(family.cgo, reporter, signal);
    const staging = await mkdtemp(`${folder}.tmp-`);
    try {
      await reporter.step(`compile ${summary(wanted)}`, async (step) => {
        await compile(source, staging, family, wanted, step, signal);
      });
      for (const each of wanted) await rename(join(staging, each), join(folder, each));
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  });
  return folder;
}

async function compile(
  source: string,
  staging: string,
  family: ToolFamily,
  wanted: readonly ToolName[],
  step: Step,
  signal: AbortSignal,
): Promise<void> {
  const flags = buildFlags(family);
  const env = {
    CGO_ENABLED: family.cgo === undefined ? '0' : '1',
    GOFLAGS: '',
    GOWORK: 'off',
    // Compilers live shortly: collecting their garbage as often as by default takes a sixth of the time.
    GOGC: '400',
    GOMEMLIMIT: '1GiB',
  };
  const packages = wanted.map((each) => family.commands[each] ?? each);
  const common = { cwd: source, env, signal, timeout: compileTimeout, advice: goAdvice };
  await run('go', ['mod', 'download'], common).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new Failure('CompileFailed', `cannot download the Go modules of ${source}`, {
      cause: error,
      ...(error instanceof Failure ? { log: error.log } : {}),
      advice: 'see that the module proxy (go env GOPROXY) can be reached, and run again',
    });
  });
  // What `go build -v` will print, one line each: the packages that are not in Go's own cache.
  const stale = await run(
    'go',
    ['list', '-deps', ...flags, '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', ...packages],
    common,
  );
  const total = stale.split('\n').filter((line) => line !== '').length;
  let done = 0;
  step.progress(done, total);
  try {
    await run('go', ['build', '-v', ...flags, '-o', `${staging}/`, ...packages], {
      ...common,
      onLine: () => {
        done = Math.min(done + 1, total);
        step.progress(done, total);
      },
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof Failure)) throw error;
    throw new Failure('CompileFailed', `cannot compile ${wanted.join(', ')} in ${source}`, {
      cause: error,
      log: error.log,
      advice: 'a compiler that was killed needs more memory; otherwise read the lines above',
    });
  }
  for (const each of wanted) {
    const built = family.commands[each] ?? '';
    const produced = binaryName(built);
    if (produced !== each) await rename(join(staging, produced), join(staging, each));
  }
}

function summary(names: readonly string[]): string {
  return names.length <= 6
    ? names.join(', ')
    : `${names.slice(0, 4).join(', ')} and ${names.length - 4} more`;
}

/** The file name `go build` gives the command of an import path: its last element that is no version. */
export function binaryName(importPath: string): string {
  const elements = importPath.split('/');
  const last = elements.at(-1) ?? '';
  return /^v\d+$/.test(last) ? (elements.at(-2) ?? '') : last;
}

async function familyDigest(source: string, family: ToolFamily, toolchain: string): Promise<string> {
  const hash = createHash('sha256');
  const files = (await readdir(source, { recursive: true }))
    .filter((name) => /\.(go|mod|sum)$/.test(name))
    .sort();
  for (const file of files) hash.update(`${file}\0`).update(await readFile(join(source, file)));
  hash.update(JSON.stringify([family, buildFlags(family), toolchain]));
  return hash.digest('hex').slice(0, 16);
}

async function missing<N extends string>(folder: string, names: readonly N[]): Promise<readonly N[]> {
  const absent: N[] = [];
  for (const name of names) {
    try {
      await access(join(folder, name));
    } catch {
      absent.push(name);
    }
  }
  return absent;
}
