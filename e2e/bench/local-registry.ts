import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { findFreePort } from '../cluster/ports.ts';
import { Component } from '../process/component.ts';
import { waitFor } from '../process/wait.ts';
import type { Reporter } from '../progress/reporter.ts';
import { ensureTools } from '../tools/tools.ts';

/** CNCF distribution as a process on loopback, its blobs in `folder`. Disposing of it ends it. */
export async function startLocalRegistry(
  folder: string,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<AsyncDisposable & { readonly host: string }> {
  const { registry } = await ensureTools(['registry'], reporter, signal);
  const host = `127.0.0.1:${await findFreePort()}`;
  await mkdir(folder, { recursive: true });
  const configuration = join(folder, 'config.json');
  await writeFile(
    configuration,
    JSON.stringify({
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, 'blobs') } },
      http: { addr: host },
    }),
  );
  const component = await Component.start({
    name: 'registry',
    command: registry,
    args: ['serve', configuration],
    logFile: join(folder, 'log'),
    env: { OTEL_TRACES_EXPORTER: 'none' },
    survives: false,
  });
  await waitFor(
    'the registry',
    async () => {
      const answer = await request(`http://${host}/v2/`);
      await answer.body.dump();
      return answer.statusCode === 200;
    },
    { signal, timeout: 30_000, watched: [component] },
  );
  return { host, [Symbol.asyncDispose]: () => component.stop(AbortSignal.timeout(30_000)) };
}
