/**
 * `npm run fuzz`: gives changed inputs to every parser of what comes from outside, for a bounded time.
 * Exits with 1 and leaves the input in a file if one of them does what it should not.
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Finding, tryInput } from './campaign.ts';
import { TARGETS } from './targets/all.ts';
import { runWatched } from './watchdog.ts';

const USAGE = `usage: npm run fuzz [-- OPTION…]

  --target NAME   ${TARGETS.map(({ name }) => name).join(', ')}; repeatable, all by default
  --seed N        the same seed gives the same inputs; by default another one each time, which is printed
  --replay FILE   give that input to the one target, and show what happens

FUZZ_SECONDS is the time for all targets together, 60 by default.
`;

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    seed: { type: 'string' },
    replay: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const targets = TARGETS.filter(({ name }) => values.target?.includes(name) ?? true);
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());

if (values.help === true || targets.length === 0) {
  process.stdout.write(USAGE);
  process.exitCode = values.help === true ? 0 : 2;
} else if (values.replay !== undefined) await replay(values.replay);
else await fuzz(Number(values.seed ?? Date.now() % 1e9), Number(process.env['FUZZ_SECONDS'] ?? 60));

async function replay(path: string): Promise<void> {
  const [target] = targets;
  if (target === undefined || targets.length > 1) throw new Error('--replay needs one --target');
  const watch = { before: () => undefined, cpuSeconds: () => process.cpuUsage().user / 1e6 };
  const result = await tryInput(target, await readFile(path), watch);
  process.stdout.write(
    'kind' in result ? `${result.kind}: ${result.message}\n` : `fine: ${result.outcome}\n`,
  );
  process.exitCode = 'kind' in result ? 1 : 0;
}

async function fuzz(seed: number, seconds: number): Promise<void> {
  process.stdout.write(`seed ${seed}, ${seconds} s for ${targets.length} targets\n`);
  const duration = (seconds * 1000) / targets.length;
  for (const { name } of targets) {
    const { inputs, finding } = await runWatched({
      target: name,
      seed,
      duration,
      signal: interrupted.signal,
    });
    process.stdout.write(`${finding === undefined ? 'ok  ' : 'FAIL'} ${name}: ${inputs} inputs\n`);
    if (finding === undefined) continue;
    process.exitCode = 1;
    await keep(finding);
  }
}

async function keep({ target, kind, message, input }: Finding): Promise<void> {
  const path = join(await mkdtemp(join(tmpdir(), 'fuzz-')), target);
  await writeFile(path, input);
  const again = `npm run fuzz -- --target ${target} --replay ${path}`;
  process.stdout.write(`  ${kind}: ${message.replaceAll('\n', '\n  ')}\n  again: ${again}\n`);
}
