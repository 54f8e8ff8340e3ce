/**
 * `npm run bench:build`: how long builds take, against G, the time that Node's gunzip needs for the layers,
 * and against what a person would write by hand. Exits with 1 if a bar is missed.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { publishComponents } from '../images/publish.ts';
import { run } from '../process/run.ts';
import { describeFailure } from '../progress/failure.ts';
import { createReporter } from '../progress/reporter.ts';
import { ensurePackages } from '../tools/packages.ts';
import { BenchRoom, type Round } from './bench-room.ts';
import { secondsToInit } from './boot-time.ts';
import { HAND_PACKAGES } from './by-hand.ts';
import { CASE_NAMES, casesOf } from './cases.ts';
import { IMAGE_SETS, SET_NAMES } from './image-sets.ts';
import { startLocalRegistry } from './local-registry.ts';
import { prepareSet, pushSet } from './prepared-set.ts';
import { type BootRounds, bootLine, type CaseResult, holds, table } from './report.ts';

const USAGE = `usage: npm run bench:build [-- OPTION…]

  --set NAME    ${SET_NAMES.join(' or ')}; repeatable, both by default
  --case NAME   ${CASE_NAMES.join(', ')}; repeatable, by default those that have a bar
  --runs N      rounds of each case, 5 by default
  --boot        boot the mid set, compressed either way, and measure how long the guest unpacks; without
                --set nothing else
  --json FILE   write all measurements there
`;

const { values } = parseArgs({
  options: {
    set: { type: 'string', multiple: true },
    case: { type: 'string', multiple: true },
    runs: { type: 'string', default: '5' },
    boot: { type: 'boolean' },
    json: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => interrupted.abort(new Error(`stopped by ${name}`)));
const { signal } = interrupted;
const reporter = createReporter();
const runs = Number(values.runs);

if (values.help === true) process.stdout.write(USAGE);
else {
  const folder = await mkdtemp(join(tmpdir(), 'bench-build-'));
  try {
    const results = await bench(folder);
    if (results.length > 0) process.stdout.write(`\n${table(results)}`);
    if (values.boot === true) process.stdout.write(`\n${bootLine(await boot(folder))}`);
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(results, null, 2)}\n`);
    if (!results.every(holds)) process.exitCode = 1;
  } catch (error) {
    process.stderr.write(`${describeFailure(error)}\n`);
    process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function bench(folder: string): Promise<readonly CaseResult[]> {
  const sets = SET_NAMES.filter((name) => values.set?.includes(name) ?? values.boot !== true);
  if (!(runs >= 1)) throw new Error(USAGE);
  await ensurePackages(['time', ...HAND_PACKAGES], reporter, signal);
  const program = await bundle(folder);
  const results: CaseResult[] = [];
  for (const name of sets) {
    const prepared = await prepareSet(IMAGE_SETS[name], reporter, signal);
    await using registry = await startLocalRegistry(join(folder, `registry-${name}`), reporter, signal);
    await reporter.step(`push the set ${name}`, () => pushSet(prepared, registry.host, signal));
    const room = new BenchRoom(prepared, { registry: registry.host, folder, program, signal });
    const cases = casesOf(name).filter((one) => values.case?.includes(one.name) ?? one.bar !== undefined);
    const rounds = new Map(cases.map((one) => [one, [] as Round[]]));
    for (let round = 1; round <= runs; round += 1) {
      for (const [one, done] of rounds) {
        await reporter.step(`round ${round} of ${runs}: ${name}, ${one.title}`, async () => {
          done.push(await room.measure(one));
        });
      }
    }
    results.push(...[...rounds].map(([benchCase, done]) => ({ benchCase, rounds: done })));
    for (const left of ['cache', 'output', 'hand'])
      await rm(join(folder, left), { recursive: true, force: true });
  }
  return results;
}

async function boot(folder: string): Promise<BootRounds> {
  const prepared = await prepareSet(IMAGE_SETS.mid, reporter, signal);
  await using registry = await startLocalRegistry(join(folder, 'registry-boot'), reporter, signal);
  await pushSet(prepared, registry.host, signal);
  const component = 'linuxkit/kernel';
  const references = await reporter.step('make a kernel that boots', () =>
    publishComponents(registry.host, { only: [component], signal }),
  );
  const room = new BenchRoom(prepared, {
    registry: registry.host,
    folder,
    program: await bundle(folder),
    signal,
  });
  const folders = await room.bootable(references.get(component) ?? '');
  const rounds: { gzip: number; zstd: number }[] = [];
  for (let round = 1; round <= runs; round += 1) {
    await reporter.step(`boot ${round} of ${runs}`, async () => {
      const gzip = await secondsToInit(folders.gzip, signal);
      rounds.push({ gzip, zstd: await secondsToInit(folders.zstd, signal) });
    });
  }
  return rounds;
}

/** The program as the container image has it: that starts faster. */
async function bundle(folder: string): Promise<string> {
  const bundler = join(import.meta.dirname, '..', '..', 'scripts', 'bundle.ts');
  await run(process.execPath, [bundler, join(folder, 'program')], { signal });
  return join(folder, 'program', 'main.js');
}
