import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { ensureDocker } from '../docker/engine.ts';
import { run } from '../process/run.ts';
import { silentReporter } from '../progress/reporter.ts';
import { buildOperatorImage } from './operator-image.ts';

/** The image as whoever runs a cluster looks at it before they let it in. */

const signal = AbortSignal.timeout(1_800_000);
/** As the chart runs it: nobody, without capabilities, on a root that cannot be written. */
const CONFINED = [
  '--read-only',
  '--cap-drop=ALL',
  '--security-opt=no-new-privileges',
  '--network=none',
  '--memory=256m',
];
let image: string;
let env: Readonly<Record<string, string>>;
let folder: string;

const docker = (...args: string[]): Promise<string> => run('docker', args, { signal, env, timeout: 120_000 });

beforeAll(async () => {
  const engine = await ensureDocker(silentReporter, signal);
  env = engine.env;
  image = await buildOperatorImage(engine, silentReporter, signal);
  folder = await mkdtemp(join(tmpdir(), 'operator-image-'));
}, 1_800_000);

afterAll(async () => {
  await rm(folder, { recursive: true });
});

test('says what it is, and runs as nobody', async () => {
  const [{ Config: config }] = JSON.parse(await docker('image', 'inspect', image)) as [
    { readonly Config: { readonly User: string; readonly Labels: Readonly<Record<string, string>> } },
  ];
  expect(config.User).toBe('65532:65532');
  expect(config.Labels).toMatchObject({
    'org.opencontainers.image.version': packageJson.version,
    'org.opencontainers.image.source': expect.stringMatching(/^https:\/\//) as string,
    'org.opencontainers.image.licenses': packageJson.license,
    'org.opencontainers.image.revision': expect.stringMatching(/./) as string,
  });
});

test('holds the bundle, Node and what that needs: no package, no source, no shell', async () => {
  const container = (await docker('create', image)).trim();
  const archive = join(folder, 'root.tar');
  try {
    await docker('export', '--output', archive, container);
  } finally {
    await docker('rm', container);
  }
  const paths = (await run('tar', ['--list', '--file', archive], { signal })).trim().split('\n');
  expect(paths).toEqual(expect.arrayContaining(['app/main.js', 'app/thread.js', 'usr/local/bin/node']));
  expect(paths.filter((path) => path.includes('node_modules') || /\.[cm]?ts$/.test(path))).toEqual([]);
  expect(paths.filter((path) => /(^|\/)(sh|bash|dash|busybox|npm)$/.test(path))).toEqual([]);
});

describe('confined as in the chart', () => {
  test.each(['manager', 'build-job', 'boot-registry', 'self-test', 'build', 'plugin'])(
    'it is %s',
    async (subcommand) => {
      const help = await docker('run', '--rm', ...CONFINED, image, subcommand, '--help');
      expect(help).toMatch(/^Usage: /);
    },
  );

  test('it starts in under half a second from what its build has compiled, whatever it is', async () => {
    // In pairs within one run: what else the machine does delays both alike, and not all of them.
    const program = `
      const { spawnSync } = require('node:child_process');
      const start = (name, env) => {
        const from = performance.now();
        const { status } = spawnSync(process.execPath, ['/app/main.js', name, '--help'], { env: { ...process.env, ...env } });
        return status === 0 ? performance.now() - from : Infinity;
      };
      const starts = {};
      for (const name of ['manager', 'build-job', 'boot-registry']) {
        const quickest = [Infinity, Infinity];
        for (let round = 0; round < 8; round += 1)
          for (const [at, env] of [{}, { NODE_DISABLE_COMPILE_CACHE: '1' }].entries())
            quickest[at] = Math.min(quickest[at], start(name, env));
        starts[name] = { milliseconds: quickest[0], ratio: quickest[0] / quickest[1] };
      }
      process.stdout.write(JSON.stringify(starts));
    `;
    const node = ['--entrypoint=/usr/local/bin/node', image, '--eval', program];
    const starts = JSON.parse(await docker('run', '--rm', ...CONFINED, ...node)) as Record<
      string,
      { readonly milliseconds: number; readonly ratio: number }
    >;
    expect(
      Object.entries(starts).filter(([, { milliseconds, ratio }]) => !(milliseconds < 500 && ratio < 1)),
    ).toEqual([]);
  });
});
