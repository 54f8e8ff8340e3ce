import { join } from 'node:path';
import { withLock } from '../process/lock.ts';
import { run } from '../process/run.ts';
import { Failure } from '../progress/failure.ts';
import type { Reporter } from '../progress/reporter.ts';
import { cacheFolder } from './cache.ts';

/**
 * Installs the Debian packages that are missing, and asks the package index for
 * nothing when none is.
 * @throws Failure `PackageInstallFailed` with apt's last lines, or where there is no apt.
 */
export async function ensurePackages(
  names: readonly string[],
  reporter: Reporter,
  signal: AbortSignal,
): Promise<void> {
  if ((await missingPackages(names, signal)).length === 0) return;
  await withLock(join(cacheFolder(), 'packages.lock'), signal, async () => {
    const wanted = await missingPackages(names, signal);
    if (wanted.length === 0) return;
    await reporter.step(`install ${wanted.join(', ')}`, async (step) => {
      const options = {
        signal,
        timeout: 900_000,
        env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
        advice: `run: apt-get update && apt-get install ${wanted.join(' ')}`,
      };
      // Another apt may be at work, unattended upgrades for one: wait for its lock.
      const patience = ['-o', 'DPkg::Lock::Timeout=300', '-q'];
      try {
        step.detail('apt-get update');
        await run('apt-get', [...patience, 'update'], options);
        step.detail('apt-get install');
        await run(
          'apt-get',
          [...patience, 'install', '--yes', '--no-install-recommends', ...wanted],
          options,
        );
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        throw new Failure('PackageInstallFailed', `cannot install ${wanted.join(', ')}`, {
          cause: error,
          log: error.log,
          advice: options.advice,
        });
      }
    });
  });
}

async function missingPackages(names: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
  const listing = await run('dpkg-query', ['--show', '--showformat', '${Package} ${db:Status-Status}\n'], {
    signal,
    advice: `this works on Debian; elsewhere install the equivalents of ${names.join(', ')} by hand`,
  });
  const installed = new Set(
    listing
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return names.filter((name) => !installed.has(name));
}
